//! How a text is compared: what counts as the same host, path, process, tag or address.
//!
//! Where in doubt two texts are the same, since what is taken for protected is looked at by a person, and what is not
//! is acted on.

use core::net::{IpAddr, SocketAddr};

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Host,
    Address,
    Path,
    Process,
    Tag,
    Any,
}

/// A pattern as it is compared.
pub(super) fn pattern(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Path => path(text),
        _ => text.to_lowercase(),
    }
}

/// The texts to compare that one cell holds. Addresses are read by [`addresses`].
pub(super) fn forms(kind: Kind, cell: &str) -> Vec<String> {
    match kind {
        Kind::Agent | Kind::Any | Kind::Address => vec![cell.to_lowercase()],
        Kind::Path => paths(cell.trim_matches('"')),
        Kind::Process => {
            let name = cell.trim_matches('"').rsplit(['/', '\\']).next().unwrap_or_default();
            vec![name.to_lowercase()]
        }
        Kind::Tag => {
            let tags = cell.split([',', ';', '|', '\n']).map(str::trim).filter(|tag| !tag.is_empty());
            tags.map(str::to_lowercase).collect()
        }
        Kind::Host => {
            let host = cell.trim_end_matches('.').to_lowercase();
            // `dc-01.corp.example` is the host DC-01 too.
            let first =
                host.split_once('.').filter(|_| host.parse::<IpAddr>().is_err()).map(|(first, _)| first.to_owned());
            std::iter::once(host).chain(first).collect()
        }
    }
}

/// The addresses of a cell, and whether something in it is none.
pub(super) fn addresses(cell: &str) -> (Vec<IpAddr>, bool) {
    let pieces = cell.split([',', ';', '|', ' ', '\t', '\n']).filter(|piece| !piece.is_empty());
    let mut all = Vec::new();
    let mut has_other = false;
    for piece in pieces {
        match address(piece) {
            Some(address) => all.push(address.to_canonical()),
            None => has_other = true,
        }
    }
    (all, has_other)
}

/// With a port, a prefix length or a zone, an address is one all the same.
fn address(piece: &str) -> Option<IpAddr> {
    let alone = piece.split(['/', '%']).next().unwrap_or_default();
    let alone = alone.strip_prefix('[').map_or(alone, |inside| inside.strip_suffix(']').unwrap_or(inside));
    alone.parse().ok().or_else(|| piece.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// A path as it is written, and what Windows takes it for: without the prefixes of long and native names, without `.`,
/// `..` and the dots and spaces that end a name; on any drive, where it names a volume by its number.
fn paths(text: &str) -> Vec<String> {
    let whole = path(text);
    let said = whole.strip_prefix("file:").unwrap_or(&whole);
    let native = ["/?/", "/??/", "/./"].iter().find_map(|prefix| said.strip_prefix(prefix)).unwrap_or(said);
    let has_drive = |path: &str| path.as_bytes().get(1) == Some(&b':');
    let native = native.strip_prefix('/').filter(|rest| has_drive(rest)).unwrap_or(native);
    let mut names: Vec<&str> = Vec::new();
    for name in native.split('/') {
        match name {
            "." => {}
            ".." => names.truncate(names.len().saturating_sub(1).max(1)),
            // Only the first name may be empty: there the path begins.
            _ => names.push(name.trim_end_matches(['.', ' '])),
        }
    }
    let meant = names.join("/");
    let mut all = Vec::new();
    if let Some((_, rest)) = meant.strip_prefix("/device/harddiskvolume").and_then(|rest| rest.split_once('/')) {
        all.extend(('a'..='z').map(|drive| format!("{drive}:/{rest}")));
    }
    all.extend([whole, meant]);
    all.dedup();
    all
}

/// Small letters, one `/` where there are any separators.
fn path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let letter = if letter == '\\' { '/' } else { letter };
        if letter != '/' || !path.ends_with('/') {
            path.push(letter);
        }
    }
    path
}
