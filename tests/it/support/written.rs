//! What is written where a service reads its configuration anew.

use std::sync::{Arc, Mutex};

use holdline::{
    config::Loaded,
    demo::{crm::FakeCrm, genesys::FakeGenesys},
    proxy::{Next, Reader, Taken},
};

use super::proxy::Setup;

/// A configuration with what differs in it, or what is wrong with it.
type Text = Result<(Setup, Vec<String>), Vec<String>>;

/// What is written. Clones are the same.
#[derive(Clone)]
pub(super) struct Written {
    text: Arc<Mutex<Text>>,
    crm: FakeCrm,
    genesys: FakeGenesys,
}

impl Written {
    /// Nothing yet; what comes is about these two.
    pub(super) fn new(crm: &FakeCrm, genesys: &FakeGenesys) -> Self {
        let text = Arc::new(Mutex::new(Err(vec!["nothing is written".to_owned()])));
        Self { text, crm: crm.clone(), genesys: genesys.clone() }
    }

    /// Writes that.
    pub(super) fn write(&self, text: Result<(Setup, &[&str]), &[&str]>) {
        let owned = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        let text = text.map(|(setup, changes)| (setup, owned(changes))).map_err(owned);
        *self.text.lock().expect("no panic holds it") = text;
    }

    /// Who reads it.
    pub(super) fn reader(&self) -> Reader {
        let written = self.clone();
        Arc::new(move || written.read())
    }

    fn read(&self) -> Result<Next, Vec<String>> {
        let (setup, changes) = self.text.lock().expect("no panic holds it").clone()?;
        let Loaded { catalog, settings, warnings, .. } = setup.load(&self.crm, &self.genesys);
        let warnings = warnings.iter().map(ToString::to_string).collect();
        Ok(Next { catalog, settings, changes, warnings, taken: Taken::default() })
    }
}
