//! The API over the network.
//!
//! Acts and polls have a client each. An act goes out on a fresh HTTP/1.1 connection, with a body that knows whether it
//! was taken; polls share kept connections and may be compressed. Neither client follows redirects or repeats anything:
//! their defaults send a POST again after a redirect or a protocol refusal.
//!
//! A proxy from the environment is honoured, but never for a host on this machine. TLS keys are never logged.

use super::answer::{Answer, BodyFault, Carried};
use super::request::{BaseUrlError, parse_base_url};
use super::taken::{Taken, TakenBody};
use super::transport::{Request, RequestWhat, Transport};
use crate::engine::sent_or_not::{NoAnswer, Phase};
use crate::tenant::Limits;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, ClientBuilder, Url, redirect, retry, tls};
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

/// The longest time for a connection to stand; less where the whole call has less than twice that.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("quell/", env!("CARGO_PKG_VERSION"));

/// Why the network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The base URL is none.
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
    /// It would send the token in the clear.
    #[error("base_url {0:?} must begin with https: the token would cross the network in the clear")]
    InTheClear(String),
    /// The client could not be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// Two clients for one tenant.
#[derive(Debug)]
pub struct Http {
    acts: Client,
    polls: Client,
    proxy: Option<String>,
}

impl Http {
    /// For a tenant's base URL. Opens no connection.
    pub fn new(base_url: &str, limits: &Limits) -> Result<Self, HttpError> {
        let base = parse_base_url(base_url)?;
        let loopback = is_loopback(&base);
        if base.scheme() != "https" && !loopback {
            return Err(HttpError::InTheClear(base.to_string()));
        }
        // An error says that this process has a default already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let acts = client(&base, limits.act_timeout).http1_only().pool_max_idle_per_host(0).no_gzip();
        let polls = client(&base, limits.poll_timeout).gzip(true);
        let build = |builder: ClientBuilder| builder.build().map_err(|error| HttpError::Setup(root_cause(&error)));
        let proxy = if loopback { None } else { proxy_for(base_url, &Matcher::from_system()) };
        Ok(Self { acts: build(acts)?, polls: build(polls)?, proxy })
    }

    /// The proxy that the environment names for this tenant, as `host:port`, to be shown when a run starts.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

impl Transport for Http {
    fn carry(&self, request: Request) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let bytes_max = request.what.answer_bytes_max();
            let (builder, taken) = match request.what {
                RequestWhat::Act(json) => {
                    let (body, taken) = TakenBody::new(json);
                    let builder = self.acts.post(&request.url).header(CONTENT_TYPE, "application/json");
                    (builder.body(reqwest::Body::wrap(body)), taken)
                }
                RequestWhat::Poll => (self.polls.get(&request.url), Taken::default()),
            };
            let sending = builder.header(ACCEPT, "*/*").header(AUTHORIZATION, request.bearer).send();
            match sending.await {
                Ok(response) => Carried::Answer(whole(response, bytes_max).await),
                Err(error) => Carried::NoAnswer(no_answer(&error, taken.is_set())),
            }
        })
    }
}

fn client(base: &Url, time_max: Duration) -> ClientBuilder {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .timeout(time_max)
        .connect_timeout(CONNECT_MAX.min(time_max / 2))
        .tls_version_min(tls::Version::TLS_1_2)
        .tls_sslkeylogfile(false);
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if base.scheme() == "http" {
        // Without TLS no certificates are needed: a small container may have none, and the simulator needs none.
        builder = builder.tls_certs_only([]);
    }
    builder
}

/// Reads a body to its end, or to its limit: a compressed one is counted as it unfolds.
async fn whole(mut response: reqwest::Response, bytes_max: usize) -> Answer {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => break Err(BodyFault::TooLong(bytes_max)),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break Ok(Bytes::from(body)),
            Err(error) if error.is_timeout() => break Err(BodyFault::TimedOut(body.len())),
            Err(_) => break Err(BodyFault::CutShort(body.len())),
        }
    };
    Answer { status, headers, body }
}

fn no_answer(error: &reqwest::Error, body_taken: bool) -> NoAnswer {
    NoAnswer { phase: phase_of(error), body_taken, timed_out: error.is_timeout(), what: root_cause(error) }
}

fn phase_of(error: &reqwest::Error) -> Phase {
    if let Some(phase) = causes(error).find_map(tls_phase) {
        return phase;
    }
    // The tunnel's error type is private; its words are the only sign. Should they change, the class falls back to
    // "cannot connect", which is retried within its budget instead of stopping at once.
    if causes(error).any(|cause| cause.to_string().contains("proxy authorization required")) {
        return Phase::Proxy;
    }
    if error.is_builder() {
        Phase::Local
    } else if error.is_dns() {
        Phase::Lookup
    } else if error.is_connect() {
        Phase::Connect
    } else {
        Phase::After
    }
}

fn tls_phase(cause: &(dyn Error + 'static)) -> Option<Phase> {
    use rustls::AlertDescription::{CloseNotify, InternalError, UserCanceled};
    // An I/O error hides what it wraps from the chain of sources, and connectors wrap them in one another.
    if let Some(io) = cause.downcast_ref::<std::io::Error>() {
        return tls_phase(io.get_ref()?);
    }
    let error = cause.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::AlertReceived(InternalError | CloseNotify | UserCanceled) => Phase::Tls,
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::InvalidCertRevocationList(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(_) => Phase::Certificate,
        _ => Phase::Tls,
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// The innermost words. The outer ones repeat the URL, which holds the user and the comment.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Asks the same rules that the clients use. Credentials of the proxy are left out.
fn proxy_for(base_url: &str, rules: &Matcher) -> Option<String> {
    let intercept = rules.intercept(&base_url.parse().ok()?)?;
    let uri = intercept.uri();
    let host = uri.host()?;
    Some(uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests;
