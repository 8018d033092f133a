//! The tree of located nodes, built from the parser's events.
//!
//! It refuses what our files have no use for and what only makes them hard to read or dangerous: anchors, aliases,
//! tags, merge keys, several documents, keys written twice, deep nesting and huge trees. Except where nothing sensible
//! can follow, it reports and reads on.

use super::Reader;
use crate::problem::Place;
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, options};
use std::borrow::Cow;
use std::collections::HashMap;

/// Mappings and lists inside each other.
pub(super) const DEPTH_MAX: usize = 64;
/// Keys, values, lists and mappings: 100,000 inline events of nine columns, and the rest.
pub(super) const NODES_MAX: usize = 2_100_000;
/// Up to this many keys are compared one by one: cheaper than a table for each of many small mappings.
const SMALL: usize = 16;

/// A place in 16 bytes: there may be millions of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    line: u32,
    column: u32,
    length: u32,
    byte: u32,
}

impl At {
    /// Byte offset.
    pub(super) fn start(self) -> usize {
        self.byte as usize
    }
}

impl From<At> for Place {
    fn from(at: At) -> Self {
        Place { line: at.line, column: at.column, length: at.length, byte: Some(u64::from(at.byte)) }
    }
}

/// One value of the file.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A word, number or text; `plain` when it stands without quotes.
    Scalar { at: At, text: Cow<'a, str>, plain: bool },
    /// A list.
    List { at: At, items: Vec<Node<'a>> },
    /// A mapping, in file order.
    Mapping { at: At, entries: Vec<Entry<'a>> },
    /// Something that was reported and cannot be read.
    Refused { at: At },
}

impl Node<'_> {
    pub(super) fn at(&self) -> At {
        match self {
            Self::Scalar { at, .. } | Self::List { at, .. } | Self::Mapping { at, .. } | Self::Refused { at } => *at,
        }
    }
}

/// One key and its value.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Key<'a>,
    pub(super) value: Node<'a>,
    /// Reported already: its key was there before.
    pub(super) skip: bool,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub(super) at: At,
    pub(super) text: Cow<'a, str>,
}

/// Builds the tree; `None` when nothing can be read, which is then reported.
pub(super) fn build<'a>(reader: &Reader<'a>) -> Option<Node<'a>> {
    if has_more_nodes(reader.text, NODES_MAX) {
        reader.report_whole_file(
            format!("the file has more than {NODES_MAX} keys and values"),
            "put events into a file of their own, as CSV or JSON lines",
        );
        return None;
    }
    let mut builder = Builder { reader, open: Vec::new(), root: None, documents: 0 };
    for event in parser(reader.text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.invalid(&error),
        };
        step.ok()?;
    }
    let is_nothing = |root: &Node<'_>| matches!(root, Node::Scalar { text, plain: true, .. } if text.is_empty());
    if builder.root.as_ref().is_none_or(is_nothing) {
        reader.report_whole_file(
            "the file is empty".to_owned(),
            "`quell init` writes examples, `quell schema` describes every key",
        );
        return None;
    }
    builder.root
}

fn parser(text: &str) -> impl Iterator<Item = Result<(Event<'_>, Span), ScanError>> {
    let options: Options = options! { emit_anchor_events: true, emit_unresolved_aliases: true, emit_comments: false };
    Parser::new_from_str_with_options(text, options)
}

/// Whether the tree would have more nodes than this, found without building it: a refused file must not cost memory.
pub(super) fn has_more_nodes(text: &str, most: usize) -> bool {
    let signs = text.bytes().filter(|b| matches!(b, b',' | b':' | b'-' | b'\n' | b'[' | b'{' | b'?')).count();
    // Each of these signs begins at most three nodes (`{a` a mapping, a key, its value): most files need no second look.
    if 3 * signs < most {
        return false;
    }
    let nodes = parser(text).map_while(Result::ok).filter(|(event, _)| event.is_node());
    nodes.take(most + 1).count() > most
}

/// Reading cannot go on; the reason is reported.
struct Stop;

struct Builder<'r, 'a> {
    reader: &'r Reader<'a>,
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
    documents: usize,
}

/// A list or mapping whose end has not come.
enum Open<'a> {
    List { at: At, items: Vec<Node<'a>> },
    Mapping { at: At, entries: Vec<Entry<'a>>, awaits: Awaits<'a>, flow: bool },
}

/// What comes next in a mapping.
enum Awaits<'a> {
    Key,
    /// The value of this key; of none when the key was refused.
    Value(Option<Key<'a>>),
}

impl<'a> Builder<'_, 'a> {
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), Stop> {
        let at = self.place(&span);
        match event {
            Event::DocumentStart(..) => return self.start_document(at),
            Event::Anchor(_, name) => self.refuse(at, format!("anchors like `&{name}` are not supported")),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse(at, "aliases like `*name` are not supported".to_owned());
                self.add(Node::Refused { at });
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                let plain = style == ScalarStyle::Plain;
                // The parser writes `~` for a value that is not there.
                let text = if plain && span.is_empty() { Cow::Borrowed("") } else { text };
                self.add(Node::Scalar { at, text, plain });
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                return self.push(Open::List { at, items: Vec::new() });
            }
            Event::MappingStart(style, _, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                let flow = style == StructureStyle::Flow;
                return self.push(Open::Mapping { at, entries: Vec::new(), awaits: Awaits::Key, flow });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            _ => {}
        }
        if self.reader.is_full() { Err(Stop) } else { Ok(()) }
    }

    fn start_document(&mut self, at: At) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        self.reader.report_help(
            at.into(),
            "a second document begins here".to_owned(),
            "a file holds one document: move this one into a file of its own",
        );
        Err(Stop)
    }

    fn push(&mut self, open: Open<'a>) -> Result<(), Stop> {
        if self.open.len() == DEPTH_MAX {
            let (Open::List { at, .. } | Open::Mapping { at, .. }) = open;
            self.reader.report(at.into(), format!("nested deeper than {DEPTH_MAX} levels"));
            return Err(Stop);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: &Span) {
        let node = match self.open.pop() {
            Some(Open::List { at, items }) => Node::List { at: self.until(at, end), items },
            Some(Open::Mapping { at, mut entries, flow, .. }) => {
                self.refuse_repeated(&mut entries);
                let at = match entries.first() {
                    _ if flow => self.until(at, end),
                    Some(first) => first.key.at,
                    None => at,
                };
                Node::Mapping { at, entries }
            }
            None => return,
        };
        self.add(node);
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node<'a>) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, awaits, .. }) => match std::mem::replace(awaits, Awaits::Key) {
                Awaits::Key => {
                    let key = read_key(self.reader, node);
                    *awaits = Awaits::Value(key);
                }
                Awaits::Value(Some(key)) => {
                    let value = beside_its_key(node, &key);
                    entries.push(Entry { key, value, skip: false });
                }
                Awaits::Value(None) => {}
            },
        }
    }

    fn refuse_repeated(&self, entries: &mut [Entry<'a>]) {
        for (repeated, first) in repeated_keys(entries) {
            let line = entries[first].key.at.line;
            let entry = &mut entries[repeated];
            entry.skip = true;
            self.reader.report_help(
                entry.key.at.into(),
                format!("the key `{}` is here twice", entry.key.text),
                format!("it was first written on line {line}: keep one of them"),
            );
        }
    }

    fn refuse(&self, at: At, message: String) {
        self.reader.report_help(at.into(), message, "write the value out where it is used");
    }

    fn refuse_tag(&self, is_tagged: bool, span: &Span) {
        if is_tagged {
            let at = self.place(&span.tag_span().unwrap_or(*span));
            let message = "tags like `!!str` are not supported".to_owned();
            self.reader.report_help(at.into(), message, "remove the tag; quotes make a value text");
        }
    }

    fn invalid(&self, error: &ScanError) -> Result<(), Stop> {
        let at = self.place(&Span::empty(*error.marker()));
        self.reader.report_invalid(at.into(), error.kind());
        Err(Stop)
    }

    /// A collection's place up to its end, when that is on the same line.
    fn until(&self, at: At, end: &Span) -> At {
        let (line, column) = (narrow(end.end.line()), narrow(end.end.col()) + 1);
        let length = if line == at.line { column.saturating_sub(at.column).max(1) } else { at.length };
        At { length, ..at }
    }

    fn place(&self, span: &Span) -> At {
        let text = span.slice(self.reader.text).unwrap_or_default();
        let length = text.split('\n').next().unwrap_or_default().trim_end().chars().count().max(1);
        At {
            line: narrow(span.start.line()).max(1),
            column: narrow(span.start.col()) + 1,
            length: narrow(length),
            byte: narrow(span.start.byte_offset().unwrap_or_default()),
        }
    }
}

/// Each key that was there before, with the first that was like it.
fn repeated_keys(entries: &[Entry<'_>]) -> Vec<(usize, usize)> {
    let first_like = |n: usize| entries[..n].iter().position(|earlier| earlier.key.text == entries[n].key.text);
    if entries.len() <= SMALL {
        return (0..entries.len()).filter_map(|n| Some((n, first_like(n)?))).collect();
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut repeated = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let first = *seen.entry(&entry.key.text).or_insert(n);
        if first != n {
            repeated.push((n, first));
        }
    }
    repeated
}

fn read_key<'a>(reader: &Reader<'a>, node: Node<'a>) -> Option<Key<'a>> {
    match node {
        Node::Scalar { at, text, plain: true } if text == "<<" => {
            let message = "merge keys (`<<`) are not supported".to_owned();
            reader.report_help(at.into(), message, "write the keys out where they are used");
            None
        }
        Node::Scalar { at, text, plain } if !(plain && text.is_empty()) => Some(Key { at, text }),
        Node::Refused { .. } => None,
        other => {
            reader.report(other.at().into(), "a key must be a word or text".to_owned());
            None
        }
    }
}

/// A value that is not there (`key:`) has no place that could be shown; its key has.
fn beside_its_key<'a>(node: Node<'a>, key: &Key<'a>) -> Node<'a> {
    match node {
        Node::Scalar { text, plain: true, .. } if text.is_empty() => Node::Scalar { at: key.at, text, plain: true },
        node => node,
    }
}

/// Sizes are capped at 16 MiB before anything is parsed, so nothing is lost.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
