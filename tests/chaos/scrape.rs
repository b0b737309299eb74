//! What the service says of itself: `/metrics`, read as numbers.

use std::{io, net::SocketAddr};

use crate::wire;

/// One scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape(Vec<(String, f64)>);

impl Scrape {
    /// Takes one.
    ///
    /// # Errors
    /// The listener does not answer.
    pub(crate) async fn of(probes: SocketAddr) -> io::Result<Self> {
        let reply = wire::once(probes, "/metrics", None).await?;
        let text = String::from_utf8_lossy(&reply.body);
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.filter_map(|line| line.rsplit_once(' '));
        Ok(Self(
            series.filter_map(|(name, value)| Some((name.into(), value.parse().ok()?))).collect(),
        ))
    }

    /// The sum of all series of this metric that have these labels, each as `name="value"`.
    pub(crate) fn sum(&self, metric: &str, labels: &[&str]) -> f64 {
        let wanted = |series: &str| {
            let rest = series.strip_prefix(metric);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        };
        self.0.iter().filter(|(series, _)| wanted(series)).map(|(_, value)| value).sum()
    }

    /// How much that grew since an earlier scrape.
    pub(crate) fn since(&self, earlier: &Self, metric: &str, labels: &[&str]) -> f64 {
        self.sum(metric, labels) - earlier.sum(metric, labels)
    }

    /// The least bound of a histogram's buckets, in seconds, that this part of what was observed
    /// since an earlier scrape did not exceed; none where nothing was observed.
    pub(crate) fn within(
        &self,
        earlier: &Self,
        metric: &str,
        labels: &[&str],
        part: f64,
    ) -> Option<f64> {
        let all = self.since(earlier, &format!("{metric}_count"), labels);
        let bucket = format!("{metric}_bucket");
        let mut bounds: Vec<&str> = self.0.iter().filter_map(|(name, _)| bound(name)).collect();
        bounds.sort_by(|a, b| number(a).total_cmp(&number(b)));
        bounds.dedup();
        let reaches = |bound: &&str| {
            let le = format!("le=\"{bound}\"");
            let labels: Vec<_> = labels.iter().copied().chain([le.as_str()]).collect();
            self.since(earlier, &bucket, &labels) >= all * part
        };
        (all > 0.0).then(|| bounds.into_iter().find(reaches).map_or(f64::INFINITY, number))
    }
}

fn bound(series: &str) -> Option<&str> {
    let (_, rest) = series.split_once("le=\"")?;
    rest.split('"').next()
}

fn number(bound: &str) -> f64 {
    bound.parse().unwrap_or(f64::INFINITY)
}
