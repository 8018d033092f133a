//! YAML with places: text becomes a tree of located nodes, the tree becomes types, and every problem is found at once.

use crate::problem::Place;

/// A value together with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}
