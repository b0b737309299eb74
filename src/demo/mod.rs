//! The outside world, as far as Holdline sees it: a customer API and a token authority that are real
//! HTTP servers on loopback and go wrong on demand.
//!
//! `holdline demo` runs against them, `holdline fakes` is nothing but them, and the integration tests
//! steer them from code and read afterwards what they have seen. A fake is built from
//!
//! ```text
//! fault     what can go wrong            notation  how it is written
//! faults    what goes wrong next         misbehave how it is done to a response
//! wire      HTTP/1.1 on bare sockets     record    what came in
//! site      listener and connections     crm, genesys, idp, control: what is said when all is well
//! ```

pub mod crm;
pub mod genesys;
pub mod idp;

pub mod fault;
mod faults;
pub mod notation;

pub mod record;
pub mod site;
pub mod wire;

mod control;
mod gzip;
mod misbehave;
mod people;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use crate::chance::Chance;

use self::{
    control::Control,
    crm::{CrmSettings, FakeCrm},
    fault::Latency,
    genesys::{FakeGenesys, GenesysSettings},
    notation::{FaultFlag, Which},
    site::Site,
};

/// Where the fakes listen and how they begin.
#[derive(Debug, Clone)]
pub struct WorldSettings {
    /// Where the CRM listens; port 0 picks a free one.
    pub crm_listen: SocketAddr,
    /// The CRM.
    pub crm: CrmSettings,
    /// Where the authority listens.
    pub genesys_listen: SocketAddr,
    /// The authority.
    pub genesys: GenesysSettings,
    /// Where the control listens. It asks for no credential: keep it on loopback.
    pub control_listen: SocketAddr,
}

/// The CRM, the authority and their control, running.
#[derive(Debug, Clone)]
pub struct World {
    /// The customer API.
    pub crm: FakeCrm,
    /// The token authority.
    pub genesys: FakeGenesys,
    control: Site,
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} (--{part})")]
pub struct Unbound {
    part: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl World {
    /// Starts the three.
    ///
    /// # Errors
    /// An address cannot be bound; those that were are closed again.
    pub async fn start(settings: WorldSettings) -> Result<Self, Unbound> {
        let WorldSettings { crm_listen, crm, genesys_listen, genesys, control_listen } = settings;
        let unbound = |part, address| move |source| Unbound { part, address, source };
        let crm = FakeCrm::start(crm_listen, crm).await.map_err(unbound("crm", crm_listen))?;
        let genesys = match FakeGenesys::start(genesys_listen, genesys).await {
            Ok(genesys) => genesys,
            Err(error) => {
                crm.site.stop().await;
                return Err(unbound("genesys", genesys_listen)(error));
            }
        };
        let role = Control { crm: crm.site.clone(), genesys: genesys.site.clone() };
        match Site::start(control_listen, role, Latency::NONE, Chance::Random).await {
            Ok(control) => Ok(Self { crm, genesys, control }),
            Err(error) => {
                crm.site.stop().await;
                genesys.site.stop().await;
                Err(unbound("faults", control_listen)(error))
            }
        }
    }

    /// `http://` and the control's address; `/faults` is its only page.
    pub fn control_url(&self) -> String {
        self.control.url()
    }

    /// Where the control listens.
    pub fn control_address(&self) -> SocketAddr {
        self.control.address()
    }

    /// Carries out what the command line asked for, in order.
    ///
    /// # Errors
    /// A port could not be opened again.
    pub async fn apply(&self, flags: &[FaultFlag]) -> io::Result<()> {
        for flag in flags {
            let site = match flag.which {
                Which::Crm => &self.crm.site,
                Which::Genesys => &self.genesys.site,
            };
            site.set(flag.apply(site.standing())).await?;
        }
        Ok(())
    }

    /// Closes everything.
    pub async fn stop(&self) {
        self.control.stop().await;
        self.crm.site.stop().await;
        self.genesys.site.stop().await;
    }
}
