//! The tag that each act leaves at the end of its comment, so that a person finds the batch in the console and a
//! detail that carries another batch's tag is known to be foreign.

use super::fact::BatchId;

/// The tag of one batch: `[quell contain-0612-7f3/12]`.
pub fn tag(run: &str, batch: BatchId) -> String {
    format!("[quell {run}/{}]", batch.0)
}

/// The comment of one act: the playbook's own, then the tag.
pub fn comment_of(comment: &str, run: &str, batch: BatchId) -> String {
    let tag = tag(run, batch);
    if comment.is_empty() { tag } else { format!("{comment} {tag}") }
}

/// Whether a detail's comments carry a whole tag that is not this batch's. A missing or cut tag says nothing.
pub fn is_foreign(comments: &str, run: &str, batch: BatchId) -> bool {
    let Some(start) = comments.rfind("[quell ") else { return false };
    let found = &comments[start..];
    found.find(']').is_some_and(|end| found[..=end] != tag(run, batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_back_and_only_a_whole_other_one_is_foreign() {
        let mine = comment_of("INC-7", "contain-0612-7f3", BatchId(3));
        assert_eq!(mine, "INC-7 [quell contain-0612-7f3/3]");
        for (comments, foreign) in [
            (mine.as_str(), false),
            ("[quell contain-0612-7f3/3] by J", false),
            ("INC-7 [quell contain-0612-7f3/4]", true),
            ("[quell nightly-0612-001/3]", true),
            ("INC-7 [quell contain-06", false),
            ("QHost", false),
            ("", false),
        ] {
            assert_eq!(is_foreign(comments, "contain-0612-7f3", BatchId(3)), foreign, "{comments}");
        }
    }
}
