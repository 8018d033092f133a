//! Patterns against texts, and against the plainest way to say what they mean.

use super::*;

#[test]
fn wildcards_stand_for_any_text_and_any_one_character_and_all_else_for_itself() {
    for (pattern, fitting, others) in [
        ("dc-*", &["dc-", "dc-1", "dc-*", "dc-ä"][..], &["dc", "adc-1", "d-1"][..]),
        ("*-dc?", &["ber-dc1", "-dcx"], &["ber-dc", "ber-dc12", "dc1"]),
        ("*", &["", "a"], &[]),
        ("?", &["a", "ä"], &["", "ab"]),
        ("a*b*c", &["abc", "axbxc", "abbc", "abcbc"], &["ab", "acb", "abcd"]),
        ("**a**", &["a", "bab"], &["", "b"]),
        ("[a].{b}+", &["[a].{b}+"], &["a.b", "[a]x{b}+"]),
        ("*aab", &["aaab", "aabaab"], &["aaba"]),
    ] {
        let glob = Glob::new(pattern);
        let fits = |text: &&str| glob.fits(&text.chars().collect::<Vec<_>>());
        assert!(fitting.iter().all(fits), "{pattern} {fitting:?}");
        assert!(!others.iter().any(fits), "{pattern} {others:?}");
    }
}

/// What a pattern means, one character after the other.
fn fits_plainly(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) if fits_plainly(rest, text) => true,
        (Some(('*', _)), Some((_, text))) => fits_plainly(pattern, text),
        (Some((one, rest)), Some((letter, text))) if *one == '?' || one == letter => fits_plainly(rest, text),
        _ => false,
    }
}

#[test]
fn an_index_finds_exactly_the_patterns_that_fit_by_themselves() {
    let mut chance = fastrand::Rng::with_seed(11);
    let word = |chance: &mut fastrand::Rng, letters: &str, most: usize| -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..chance.usize(1..=most)).map(|_| letters[chance.usize(..letters.len())]).collect()
    };
    let mut found = 0;
    for _ in 0..2_000 {
        let patterns: Vec<String> = (0..chance.usize(1..12)).map(|_| word(&mut chance, "ab*?", 6)).collect();
        let mut index = Index::new(Kind::Any);
        for (pattern, rule) in patterns.iter().zip(0..) {
            index.add(&Matcher::Tag(vec![pattern.clone()]), rule);
        }
        index.finish().expect("it compiles");
        for _ in 0..10 {
            let text = word(&mut chance, "aab", 8);
            let letters: Vec<char> = text.chars().collect();
            let plainly = |pattern: &String| fits_plainly(&pattern.chars().collect::<Vec<_>>(), &letters);
            let expected: Vec<u32> =
                patterns.iter().zip(0..).filter(|(pattern, _)| plainly(pattern)).map(|(_, rule)| rule).collect();
            assert_eq!(index.find([text.as_str()].into_iter()).rules, expected, "{patterns:?} {text}");
            found += expected.len();
        }
    }
    assert!(found > 10_000, "{found} patterns fitted");
}
