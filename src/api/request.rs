//! What is sent: URLs and bodies, built from a tenant, an action and events.
//!
//! Text from outside reaches a URL only percent-encoded, and a remediation id only as one path segment of safe
//! characters. It neither drops nor invents fields.

use crate::engine::call::ItemBody;
use crate::engine::sent_or_not::safe_id;
use crate::plan::PlannedTenant;
use crate::tenant::{Action, ApiVersion, FillField, RequestType};
use reqwest::Url;
use serde::Serialize;
use std::fmt::Write;

/// Why no request can be built from a base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It is no URL.
    #[error("base_url {url:?} is not a URL: {why}")]
    NotAUrl {
        /// As written, without a user's name or password.
        url: String,
        /// The parser's words.
        why: String,
    },
    /// It holds something that would end up in, or change the meaning of, every request.
    #[error("base_url {url:?} must be scheme, host, port and path only; it has {what}")]
    TooMuch {
        /// As written, without a user's name or password.
        url: String,
        /// What is too much.
        what: &'static str,
    },
}

/// The URLs of one tenant.
#[derive(Debug, Clone)]
pub(super) struct Urls {
    /// `https://host:port/prefix/ioc[/v1]/remediation-actions`
    root: String,
    user: String,
    user_id: String,
}

impl Urls {
    pub(super) fn new(tenant: &PlannedTenant) -> Result<Self, BaseUrlError> {
        let base = parse_base_url(&tenant.base_url)?;
        let path = match tenant.api_version {
            ApiVersion::V1 => "ioc/v1/remediation-actions",
            ApiVersion::Unversioned => "ioc/remediation-actions",
        };
        let root = format!("{}/{path}", base.as_str().trim_end_matches('/'));
        Ok(Self { root, user: tenant.user.clone(), user_id: tenant.user_id.clone() })
    }

    /// The URL of an act. An empty comment is left out: the API calls it optional.
    pub(super) fn act(&self, comment: &str) -> String {
        let mut url = format!(
            "{}/performAction?user={}&userId={}",
            self.root,
            percent_encoded(&self.user),
            percent_encoded(&self.user_id)
        );
        if !comment.is_empty() {
            url.push_str("&comment=");
            url.push_str(&percent_encoded(comment));
        }
        url
    }

    /// The URL of a remediation's detail; none for an id that is not safe.
    pub(super) fn detail(&self, of: RequestType, remediation_id: &str) -> Option<String> {
        let kind = match of {
            RequestType::ActivityLog => "activityLog",
            RequestType::QuarantinedItem => "quarantinedItem",
        };
        safe_id(remediation_id).then(|| format!("{}/{kind}/{}", self.root, percent_encoded(remediation_id)))
    }
}

/// Reads a base URL and refuses what cannot be one.
pub(super) fn parse_base_url(text: &str) -> Result<Url, BaseUrlError> {
    let url = Url::parse(text).map_err(|error| {
        // Whatever stands before an @ may be a password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        BaseUrlError::NotAUrl { url: shown.to_owned(), why: error.to_string() }
    })?;
    let mut plain = url.clone();
    // Neither can fail: both are refused only for URLs without a host, which have no user either.
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    let too_much = |what| BaseUrlError::TooMuch { url: plain.to_string(), what };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(too_much("a user name or password"));
    }
    if url.query().is_some() {
        return Err(too_much("a query"));
    }
    if url.fragment().is_some() {
        return Err(too_much("a fragment"));
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(too_much("a scheme other than https")),
    }
}

/// The body of an act: a JSON array with one object for each item, keys in the vendor's order.
pub(super) fn act_body(action: &Action, items: &[ItemBody]) -> Vec<u8> {
    let bodies: Vec<_> = items.iter().map(|item| ActItem::new(action, item)).collect();
    serde_json::to_vec(&bodies).expect("text and numbers under fixed names always have a JSON form")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActItem<'a> {
    action_id: i64,
    agent_id: &'a str,
    event_id: &'a str,
    event_type: &'static str,
    pid: u32,
    unique_id: &'a str,
}

impl<'a> ActItem<'a> {
    /// Every `fill` reads the event's own fields, so that their order means nothing.
    fn new(action: &Action, item: &'a ItemBody) -> Self {
        let own = |field| match field {
            FillField::AgentId => &*item.agent_id,
            FillField::EventId => &*item.event_id,
            FillField::UniqueId => &*item.unique_id,
        };
        let filled = |field| {
            let source = action.fill.iter().find(|(to, _)| *to == field).map_or(field, |(_, from)| *from);
            own(source)
        };
        Self {
            action_id: action.id,
            agent_id: filled(FillField::AgentId),
            event_id: filled(FillField::EventId),
            event_type: item.event_type.as_str(),
            pid: item.pid,
            unique_id: filled(FillField::UniqueId),
        }
    }
}

/// Everything but the unreserved characters of RFC 3986, so that the result is safe as a segment and in a query.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every text");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{Auth, EventType};

    fn tenant(base_url: &str, api_version: ApiVersion) -> PlannedTenant {
        PlannedTenant {
            name: "prod".to_owned(),
            base_url: base_url.to_owned(),
            api_version,
            user: "Jane Doe & Co".to_owned(),
            user_id: "a/b?c=ü".to_owned(),
            auth: Auth::TokenEnv("QUELL_TOKEN".to_owned()),
            simulated: false,
        }
    }

    fn action(fill: Vec<(FillField, FillField)>) -> Action {
        Action {
            name: "quarantine-host".to_owned(),
            id: -7,
            event_types: vec![EventType::Agent],
            reversible: true,
            inverse: None,
            repeat_safe: true,
            fill,
            request_type: RequestType::ActivityLog,
            shown_as: vec![],
        }
    }

    fn item() -> ItemBody {
        ItemBody {
            agent_id: "agent".into(),
            event_id: "RTP###\"1\\".into(),
            event_type: EventType::Process,
            pid: 4_294_967_295,
            unique_id: "-12".into(),
        }
    }

    #[test]
    fn urls_of_both_versions_keep_the_path_prefix() {
        let query = "performAction?user=Jane%20Doe%20%26%20Co&userId=a%2Fb%3Fc%3D%C3%BC";
        let table = [
            ("https://h", ApiVersion::V1, "https://h/ioc/v1/remediation-actions"),
            ("https://h/", ApiVersion::Unversioned, "https://h/ioc/remediation-actions"),
            ("https://h:8443/edr/x", ApiVersion::V1, "https://h:8443/edr/x/ioc/v1/remediation-actions"),
            ("http://[::1]:80/edr/", ApiVersion::Unversioned, "http://[::1]/edr/ioc/remediation-actions"),
        ];
        for (base_url, version, root) in table {
            let urls = Urls::new(&tenant(base_url, version)).unwrap();
            assert_eq!(urls.act(""), format!("{root}/{query}"));
            assert_eq!(urls.act("a+b #1\r\nX: y"), format!("{root}/{query}&comment=a%2Bb%20%231%0D%0AX%3A%20y"));
            let detail = urls.detail(RequestType::ActivityLog, "RTF_a#b.c-d");
            assert_eq!(detail, Some(format!("{root}/activityLog/RTF_a%23b.c-d")));
            let detail = urls.detail(RequestType::QuarantinedItem, "RTF");
            assert_eq!(detail, Some(format!("{root}/quarantinedItem/RTF")));
        }
    }

    /// The URL library must not undo the encoding, or resolve an id to another path.
    #[test]
    fn a_parsed_url_is_the_built_one() {
        let urls = Urls::new(&tenant("https://h/p", ApiVersion::V1)).unwrap();
        let built = [
            urls.act("#?&=%2e/../é\u{0}"),
            urls.detail(RequestType::ActivityLog, "a..#%".trim_end_matches('%')).unwrap(),
        ];
        for url in built {
            assert_eq!(Url::parse(&url).unwrap().as_str(), url);
        }
    }

    #[test]
    fn unsafe_ids_have_no_url() {
        let urls = Urls::new(&tenant("https://h", ApiVersion::V1)).unwrap();
        let ten_thousand = "a".repeat(10_000);
        for id in [
            "",
            "..",
            ".",
            ".x",
            "//host",
            "http://host/",
            "a/../b",
            "a\r\nHost: x",
            "a%2f",
            "a?b",
            ten_thousand.as_str(),
        ] {
            assert_eq!(urls.detail(RequestType::ActivityLog, id), None, "{id:?}");
        }
    }

    #[test]
    fn base_urls_that_are_refused() {
        let table = [
            ("gateway", "base_url \"gateway\" is not a URL: relative URL without a base"),
            ("https://me:secret@", "base_url \"\" is not a URL: empty host"),
            (
                "ftp://h",
                "base_url \"ftp://h/\" must be scheme, host, port and path only; it has a scheme other than https",
            ),
            ("https://h/?x=1", "base_url \"https://h/?x=1\" must be scheme, host, port and path only; it has a query"),
            ("https://h/#x", "base_url \"https://h/#x\" must be scheme, host, port and path only; it has a fragment"),
            (
                "https://me:secret@h/",
                "base_url \"https://h/\" must be scheme, host, port and path only; it has a user name or password",
            ),
        ];
        for (base_url, expected) in table {
            let error = Urls::new(&tenant(base_url, ApiVersion::V1)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn bodies_have_the_vendors_keys_in_their_order() {
        let body = act_body(&action(vec![]), &[item(), item()]);
        let one = r###"{"actionId":-7,"agentId":"agent","eventId":"RTP###\"1\\","eventType":"PROCESS","pid":4294967295,"uniqueId":"-12"}"###;
        assert_eq!(String::from_utf8(body).unwrap(), format!("[{one},{one}]"));
    }

    #[test]
    fn fill_takes_fields_from_the_event_itself() {
        use FillField::{AgentId, EventId, UniqueId};
        let body = act_body(&action(vec![(EventId, AgentId), (UniqueId, EventId)]), &[item()]);
        let expected = r###"[{"actionId":-7,"agentId":"agent","eventId":"agent","eventType":"PROCESS","pid":4294967295,"uniqueId":"RTP###\"1\\"}]"###;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
