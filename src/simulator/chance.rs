//! Chance that can be told again: every draw is a pure function of the seed, of what it is for, and of a key.
//!
//! There is no generator with a state, as the order of draws must not matter. Not for secrets.

use super::options::Delay;
use std::fmt;
use std::time::Duration;

/// The longest delay that is drawn; a log-normal tail has no end of its own.
const DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a draw is for; draws for different things are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Id = 1,
    NeverSettles,
    Fails,
    Settle,
    Latency,
    BreakBefore,
    BreakAfter,
    BreakPoll,
    DropId,
    RepeatId,
    Order,
    EventUuid,
    RequestUuid,
    ManifestUuid,
    RecordUuid,
    Agent,
    Message,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    seed: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: mix(seed) }
    }

    pub(super) fn draw(self, of: Of, key: u64) -> u64 {
        mix(mix(self.seed ^ of as u64).wrapping_add(key))
    }

    pub(super) fn happens(self, of: Of, key: u64, percent: f64) -> bool {
        unit(self.draw(of, key)) * 100.0 < percent
    }

    pub(super) fn delay(self, of: Of, key: u64, delay: Delay) -> Duration {
        let (median, sigma) = match delay {
            Delay::None => return Duration::ZERO,
            Delay::Fixed(fixed) => return fixed.min(DELAY_MAX),
            Delay::LogNormal { median, sigma } => (median, sigma),
        };
        let drawn = self.draw(of, key);
        // Box and Muller; 1 - u lies in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - unit(drawn)).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * unit(mix(drawn))).cos();
        let seconds = median.as_secs_f64() * (sigma * normal).exp();
        Duration::try_from_secs_f64(seconds.min(DELAY_MAX.as_secs_f64())).unwrap_or(median)
    }

    pub(super) fn uuid(self, of: Of, key: u64) -> Uuid {
        Uuid::new(self.draw(of, key))
    }
}

/// A uuid of version 3, as in the vendor's samples. Its second half follows from its first, so that 64 bits keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Uuid(u64);

impl Uuid {
    pub(super) fn new(bits: u64) -> Self {
        Self(bits & !0xf000 | 0x3000)
    }

    /// What it is made of.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The uuid whose text begins with this text's first half. Whoever needs to know whether it is whole compares texts.
    pub(super) fn from_first_half(text: &str) -> Option<Self> {
        let half = text.get(..18)?;
        let digits: String = half.chars().filter(|c| *c != '-').collect();
        if digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (self.0, mix(self.0) & !(0b11 << 62) | (0b10 << 62));
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

/// FNV-1a over the parts, each closed by a byte that UTF-8 never holds.
pub(super) fn hash_texts(parts: &[&str]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let part = |hash: u64, part: &&str| step(part.bytes().fold(hash, step), 0xff);
    mix(parts.iter().fold(0xcbf2_9ce4_8422_2325, part))
}

/// The finalizer of splitmix64: every input bit changes about half of the output bits, and no two inputs share one.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
