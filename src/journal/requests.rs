//! What is asked of a run by another process: to stop, or to let the next wave begin. Each request is a small file beside
//! the journal, put there whole; the run takes it away when it has heard it.
//!
//! A file called `STOP` in the state folder forbids acts to all of its runs for as long as it is there.

use super::StoreError;
use super::folder::{create_whole, io_error, is_plain_file, remove};
use crate::engine::Promotion;
use std::fs;
use std::path::{Path, PathBuf};

/// What a request may hold, in bytes.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// Where requests to one run lie.
#[derive(Debug, Clone)]
pub struct Requests {
    stop: PathBuf,
    promote: PathBuf,
}

/// What stops all runs of a state folder while it is there.
pub fn stop_of_all(state: &Path) -> PathBuf {
    state.join("STOP")
}

impl Requests {
    /// Those of this run.
    pub fn of_run(state: &Path, tenant: &str, run: &str) -> Self {
        let of = |ending: &str| state.join(tenant).join(format!("{run}.{ending}"));
        Self { stop: of("stop"), promote: of("promote") }
    }

    /// Asks the run to stop.
    pub fn ask_to_stop(&self) -> Result<(), StoreError> {
        create_whole(&self.stop, b"")
    }

    /// Asks the run to let the next wave begin.
    pub fn ask_to_promote(&self, promotion: &Promotion) -> Result<(), StoreError> {
        let text = serde_json::to_vec(promotion).map_err(|e| io_error("write", &self.promote, e))?;
        create_whole(&self.promote, &text)
    }

    /// Takes away what was asked before: it was meant for another process.
    pub fn clear(&self) -> Result<(), StoreError> {
        remove(&self.stop)?;
        remove(&self.promote)
    }

    /// Whether the run is asked to stop and has not heard it yet.
    pub fn is_asked_to_stop(&self) -> Result<bool, StoreError> {
        is_plain_file(&self.stop)
    }

    /// Whether the run is asked to let the next wave begin and has not heard it yet.
    pub fn is_asked_to_promote(&self) -> Result<bool, StoreError> {
        is_plain_file(&self.promote)
    }

    /// Whether the run is asked to stop; the request is taken away.
    pub fn take_stop(&self) -> Result<bool, StoreError> {
        let is_there = self.is_asked_to_stop()?;
        if is_there {
            remove(&self.stop)?;
        }
        Ok(is_there)
    }

    /// The request to let the next wave begin, when there is one; it is taken away. One that cannot be read opens nothing.
    pub fn take_promotion(&self) -> Result<Option<Promotion>, StoreError> {
        if !self.is_asked_to_promote()? {
            return Ok(None);
        }
        let failed = |e: &dyn std::fmt::Display| io_error("read", &self.promote, e);
        let length = fs::metadata(&self.promote).map_err(|e| failed(&e))?.len();
        if length > REQUEST_BYTES_MAX {
            return Err(failed(&"it is too long"));
        }
        let text = fs::read(&self.promote).map_err(|e| failed(&e))?;
        remove(&self.promote)?;
        serde_json::from_slice(&text).map(Some).map_err(|e| failed(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_heard_once_and_what_is_no_request_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("t")).expect("a tenant's folder");
        let requests = Requests::of_run(folder.path(), "t", "contain-0612-7f3");
        let promotion = Promotion { wave: Some(2), by: Some("alice".into()), reason: None };
        assert!(matches!((requests.take_stop(), requests.take_promotion()), (Ok(false), Ok(None))));
        requests.ask_to_stop().expect("written");
        requests.ask_to_promote(&promotion).expect("written");
        assert!(requests.take_stop().is_ok_and(|asked| asked) && requests.take_stop().is_ok_and(|asked| !asked));
        assert_eq!(requests.take_promotion().ok(), Some(Some(promotion)));
        assert_eq!(requests.take_promotion().ok(), Some(None));
        for bad in ["", "{", "[]", "{\"wave\":-1}"] {
            fs::write(&requests.promote, bad).expect("written");
            assert!(requests.take_promotion().is_err(), "{bad:?}");
            assert_eq!(requests.take_promotion().ok(), Some(None), "it is gone");
        }
        requests.ask_to_stop().expect("written");
        requests.clear().expect("cleared");
        assert!(requests.take_stop().is_ok_and(|asked| !asked));
    }
}
