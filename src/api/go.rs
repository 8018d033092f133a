//! An address outside that has to say yes before acts: 200 is yes, anything else is no.
//!
//! It is asked without the token and without anything of the run, follows no redirect, and is given little time.

use super::http::root_cause;
use reqwest::{Client, redirect};
use std::time::Duration;

/// How long it may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Clone)]
pub struct Go {
    client: Client,
    url: String,
}

impl Go {
    /// For this address.
    ///
    /// # Errors
    /// When no client can be made for it, in one line.
    pub fn new(url: &str) -> Result<Self, String> {
        // Fails only when one is installed already, which is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // http is for this machine alone, and no proxy stands before it.
        let builder = Client::builder();
        let builder = if url.starts_with("http:") { builder.no_proxy() } else { builder };
        let client = builder
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .timeout(ANSWER_TIME_MAX)
            .build();
        Ok(Self { client: client.map_err(|e| root_cause(&e))?, url: url.to_owned() })
    }

    /// Asks.
    ///
    /// # Errors
    /// Why it did not say yes, in one line.
    pub async fn ask(&self) -> Result<(), String> {
        match self.client.get(&self.url).send().await {
            Ok(answer) if answer.status() == http::StatusCode::OK => Ok(()),
            Ok(answer) => Err(format!("{} answered {}", self.url, answer.status().as_u16())),
            Err(e) => Err(format!("{} did not answer: {}", self.url, root_cause(&e))),
        }
    }
}
