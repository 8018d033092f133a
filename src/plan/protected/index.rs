//! All patterns of one kind, and which rules they belong to.
//!
//! Names without wildcards are looked up in a hash table, networks too, by each length of prefix that there is. Of a
//! pattern the longest text between its wildcards is searched for, all of them at once; only where that is found is the
//! pattern itself compared.

use super::text::{Kind, addresses, forms, pattern};
use crate::tenant::Matcher;
use aho_corasick::AhoCorasick;
use core::net::IpAddr;
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(super) struct Index {
    kind: Kind,
    exact: HashMap<String, Vec<u32>>,
    nets: HashMap<IpNet, Vec<u32>>,
    prefixes: BTreeSet<u8>,
    globs: Vec<(Glob, u32)>,
    /// Finds the texts by which patterns are told; `of_text` has the patterns of each.
    texts: Option<AhoCorasick>,
    of_text: Vec<Vec<usize>>,
    /// Patterns of wildcards alone.
    bare: Vec<usize>,
}

/// What a row is to the rules that look at one kind of text.
pub(super) struct Hits {
    /// The rules of which a pattern fits, ascending.
    pub(super) rules: Vec<u32>,
    /// Whether the row does not say it, or not in a way that can be read.
    pub(super) is_missing: bool,
}

impl Hits {
    pub(super) fn has(&self, rule: u32) -> bool {
        self.rules.binary_search(&rule).is_ok()
    }
}

impl Index {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            exact: HashMap::new(),
            nets: HashMap::new(),
            prefixes: BTreeSet::new(),
            globs: Vec::new(),
            texts: None,
            of_text: Vec::new(),
            bare: Vec::new(),
        }
    }

    /// Adds what a rule's matcher of this kind looks for.
    pub(super) fn add(&mut self, matcher: &Matcher, rule: u32) {
        match matcher {
            Matcher::AgentId(ids) => {
                ids.iter().for_each(|id| self.exact.entry(pattern(self.kind, id)).or_default().push(rule));
            }
            Matcher::Cidr(nets) => {
                for net in nets {
                    self.prefixes.insert(net.prefix_len());
                    self.nets.entry(*net).or_default().push(rule);
                }
            }
            Matcher::Host(patterns)
            | Matcher::Path(patterns)
            | Matcher::Process(patterns)
            | Matcher::Tag(patterns)
            | Matcher::Attribute { patterns, .. } => {
                for text in patterns.iter().map(|text| pattern(self.kind, text)) {
                    if text.contains(['*', '?']) {
                        self.globs.push((Glob::new(&text), rule));
                    } else {
                        self.exact.entry(text).or_default().push(rule);
                    }
                }
            }
        }
    }

    /// How many bytes its patterns with wildcards have.
    pub(super) fn pattern_bytes(&self) -> usize {
        self.globs.iter().map(|(glob, _)| glob.bytes).sum()
    }

    /// To be called once, after everything was added.
    pub(super) fn finish(&mut self) -> Result<(), aho_corasick::BuildError> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        for (number, (glob, _)) in self.globs.iter().enumerate() {
            if glob.longest.is_empty() {
                self.bare.push(number);
                continue;
            }
            let at = *known.entry(&glob.longest).or_insert_with(|| {
                texts.push(&glob.longest);
                self.of_text.push(Vec::new());
                texts.len() - 1
            });
            self.of_text[at].push(number);
        }
        self.texts = Some(AhoCorasick::new(texts)?);
        Ok(())
    }

    /// The rules that these cells of a row fit.
    pub(super) fn find<'c>(&self, cells: impl Iterator<Item = &'c str>) -> Hits {
        let mut hits = Hits { rules: Vec::new(), is_missing: true };
        let mut says_other = false;
        for cell in cells {
            if self.kind == Kind::Address {
                let (addresses, has_other) = addresses(cell);
                says_other |= has_other;
                addresses.into_iter().for_each(|address| self.find_address(address, &mut hits));
                continue;
            }
            for form in forms(self.kind, cell).into_iter().filter(|form| !form.is_empty()) {
                hits.is_missing = false;
                self.find_text(&form, &mut hits.rules);
            }
        }
        hits.is_missing |= says_other;
        hits.rules.sort_unstable();
        hits.rules.dedup();
        hits
    }

    fn find_address(&self, address: IpAddr, hits: &mut Hits) {
        hits.is_missing = false;
        for net in self.prefixes.iter().filter_map(|length| IpNet::new(address, *length).ok()) {
            hits.rules.extend(self.nets.get(&net.trunc()).into_iter().flatten());
        }
    }

    fn find_text(&self, form: &str, rules: &mut Vec<u32>) {
        rules.extend(self.exact.get(form).into_iter().flatten());
        if self.globs.is_empty() {
            return;
        }
        let found = self.texts.iter().flat_map(|texts| texts.find_overlapping_iter(form));
        let mut candidates: Vec<usize> = found.map(|found| found.pattern().as_usize()).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let told = candidates.into_iter().flat_map(|text| &self.of_text[text]);
        let letters: Vec<char> = form.chars().collect();
        let fitting = told.chain(&self.bare).map(|number| &self.globs[*number]).filter(|(glob, _)| glob.fits(&letters));
        rules.extend(fitting.map(|(_, rule)| *rule));
    }
}

/// A pattern with wildcards.
struct Glob {
    letters: Vec<Letter>,
    /// The longest text between its wildcards.
    longest: String,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    /// `*`
    AnyText,
    /// `?`
    AnyOne,
    Itself(char),
}

impl Glob {
    fn new(text: &str) -> Self {
        let mut letters: Vec<Letter> = text
            .chars()
            .map(|letter| match letter {
                '*' => Letter::AnyText,
                '?' => Letter::AnyOne,
                letter => Letter::Itself(letter),
            })
            .collect();
        letters.dedup_by(|one, other| *one == Letter::AnyText && one == other);
        let longest = text.split(['*', '?']).max_by_key(|part| part.len()).unwrap_or_default().to_owned();
        Self { letters, longest, bytes: text.len() }
    }

    /// Goes back to the last `*` only: whatever came before it fits already.
    fn fits(&self, text: &[char]) -> bool {
        let (mut at, mut in_text) = (0, 0);
        let mut last: Option<(usize, usize)> = None;
        while in_text < text.len() {
            match self.letters.get(at) {
                Some(Letter::AnyText) => {
                    last = Some((at, in_text));
                    at += 1;
                    continue;
                }
                Some(Letter::AnyOne) => {}
                Some(Letter::Itself(letter)) if *letter == text[in_text] => {}
                _ => match last {
                    Some((star, from)) => {
                        last = Some((star, from + 1));
                        (at, in_text) = (star + 1, from + 1);
                        continue;
                    }
                    None => return false,
                },
            }
            at += 1;
            in_text += 1;
        }
        self.letters[at..].iter().all(|letter| *letter == Letter::AnyText)
    }
}

#[cfg(test)]
mod tests;
