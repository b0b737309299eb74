//! A thousand hot customers whose answers were loaded together.

use holdline::{chance::Chance, telemetry::outcome::Source};
use tokio::task::JoinSet;

use super::named;
use crate::support::{
    ask::Heard,
    rig::{Rig, Setup},
};

const CUSTOMERS: i64 = 1000;

/// Kept for a minute and refreshed behind for half of one, with every default of the upstream.
const HOT: Setup<'_> =
    Setup { cache: &["ttl: 60s", "stale_while_revalidate: 30s"], ..Setup::PLAIN };

/// A pipeline that was told of everybody at 0.
async fn knows_everybody(chance: Chance) -> Rig {
    let rig = Setup { chance, ..HOT }.rig();
    for id in 0..CUSTOMERS {
        assert_eq!(rig.lookup().id(id).heard().await.source(), Source::Upstream);
    }
    assert_eq!((rig.now(), rig.upstream().count()), (0, 1000));
    rig
}

/// Asks for everybody at once, at that instant.
async fn asks_for_everybody(rig: &Rig, at: u64) -> Vec<Heard> {
    rig.until(at).await;
    let mut calls = JoinSet::new();
    for id in 0..CUSTOMERS {
        calls.spawn(rig.lookup().id(id).heard());
    }
    calls.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_thousand_expiries_in_one_second_are_at_most_a_thousand_refreshes_and_nobody_waits() {
    let rig = knows_everybody(Chance::Loaded(0.5)).await;
    rig.upstream().always(named("Eve").after(50));
    let mut stale = 0;
    for at in [60_000, 60_001, 60_040, 60_100, 60_250, 60_500, 60_750, 60_999] {
        for heard in asks_for_everybody(&rig, at).await {
            assert_eq!(heard.at, u128::from(at), "{:?}", heard.decisions());
            let kept = [Source::CacheStale, Source::CacheFresh].contains(&heard.source());
            assert!(kept, "{:?}", heard.decisions());
            stale += usize::from(heard.source() == Source::CacheStale);
        }
        let refreshes = rig.upstream().count() - 1000;
        assert!(refreshes <= 1000, "{refreshes} at {at}");
    }
    assert!(stale >= 1000 && rig.upstream().count() > 1000, "{stale} stale");
    // They get through in the end, however few may be under way at once.
    for second in 61..80 {
        asks_for_everybody(&rig, second * 1000).await;
    }
    rig.until(89_000).await;
    assert_eq!((rig.pipeline.flights(), rig.tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_expiries_that_would_have_been_one_instant_over_a_fifth_of_their_time() {
    let rig = knows_everybody(Chance::Random).await;
    let mut by_second = [0; 67];
    for heard in asks_for_everybody(&rig, 0).await {
        assert_eq!(heard.source(), Source::CacheFresh);
        let ttl = heard.answer().ttl;
        assert!((54.0..=66.0).contains(&ttl.as_secs_f64()), "{ttl:?}");
        by_second[usize::try_from(ttl.as_secs()).expect("within 66")] += 1;
    }
    // 83 on average, and nine more or less as a rule.
    assert!(by_second.iter().all(|expiries| *expiries < 160), "{by_second:?}");
    assert!(by_second[54..66].iter().all(|expiries| *expiries > 20), "{by_second:?}");
}
