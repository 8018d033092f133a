//! The tenant's base URL: where a token may be sent.

use crate::yaml::{FromText, Refusal};
use reqwest::Url;
use schemars::{Schema, json_schema};
use std::net::{Ipv4Addr, Ipv6Addr};

/// `https://gateway.qg2.apps.qualys.eu`, without a trailing slash; `http` on this machine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(pub(crate) String);

impl FromText for BaseUrl {
    fn expected() -> String {
        "a URL like `https://gateway.qg2.apps.qualys.eu`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        // URL parsers mend much (tabs, backslashes, spaces); what is sent must be what was reviewed.
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(Refusal::Because("the URL has characters that no URL has".to_owned()));
        }
        let because = |why: &str| Err(Refusal::Because(why.to_owned()));
        // First of all: what is refused for anything else is shown.
        if text.contains('@') {
            return because("the URL has a user name or password in it: remove it");
        }
        let url = Url::parse(text).map_err(|_| Refusal::SomethingElse)?;
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => return because("`http` would send the token unencrypted: write `https://`"),
            _ => return Err(Refusal::SomethingElse),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Refusal::SomethingElse);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return because("the URL has a query or fragment (`?` or `#`): it ends with the path prefix");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^https?://[^\\s@?#\\\\]+$"})
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || v6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_https_or_stays_on_this_machine() {
        for (text, kept) in [
            ("https://gateway.qg2.apps.qualys.eu", "https://gateway.qg2.apps.qualys.eu"),
            ("https://gateway.qg2.apps.qualys.eu/", "https://gateway.qg2.apps.qualys.eu"),
            ("https://proxy.example:8443/edr//", "https://proxy.example:8443/edr"),
            ("HTTPS://Gateway.Example", "https://gateway.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://localhost:8080", "http://localhost:8080"),
        ] {
            assert_eq!(BaseUrl::from_text(text), Ok(BaseUrl(kept.to_owned())), "{text}");
        }
        for text in [
            "",
            "gateway",
            "gateway.example",
            "https://",
            "ftp://a.example",
            "file:///etc/passwd",
            "http://a.example",
            "http://localhost.a.example",
            "http://127.0.0.1.a.example",
            "http://10.0.0.1",
            "http://[::2]",
            "https://user@a.example",
            "https://u:p@a.example",
            "https://@a.example",
            "https://a.example?x=1",
            "https://a.example?",
            "https://a.example#x",
            "https://a.example\\b",
            "https://a.example/ b",
            "https://a.ex\tample",
            "https://ä.example",
        ] {
            assert!(BaseUrl::from_text(text).is_err(), "{text}");
        }
    }
}
