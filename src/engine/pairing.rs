//! Which returned remediation id belongs to which item of a batch.
//!
//! Ids may come shuffled, repeated or too few. Their shape and position only guide which id is read for whom; the
//! detail decides. What cannot be told apart shares an outcome when all ended alike, and is `unmatched` otherwise.
//! Nothing here knows time or calls.

use super::fact::{ItemId, PairedBy, Settled};
use sha2::{Digest, Sha256};

/// A text as a number: the first eight bytes of its SHA-256. Two texts of one batch share it with a chance of about
/// one in 10^15.
pub fn fingerprint(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// An accepted batch whose items are not all settled.
#[derive(Debug)]
pub struct Batch {
    /// Index of the step.
    pub step: u16,
    members: Vec<Member>,
    ids: Vec<Id>,
    /// Whether the unique id in a detail has to be the item's own.
    compares_unique_id: bool,
}

/// One item of a batch.
#[derive(Debug, Clone)]
pub struct Member {
    /// The item.
    pub item: ItemId,
    /// Fingerprint of its agent id.
    pub agent: u64,
    /// Fingerprint of its unique id.
    pub unique: u64,
    settled: bool,
}

impl Member {
    /// A member that is not settled.
    pub fn new(item: ItemId, agent: u64, unique: u64) -> Self {
        Self { item, agent, unique, settled: false }
    }
}

#[derive(Debug)]
struct Id {
    /// The member it is read for as long as nothing is proven.
    guess: Option<usize>,
    proof: Proof,
    end: Option<End>,
    /// An item has been settled from it: it says nothing more about any other.
    spent: bool,
}

/// What the details of an id have shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// No detail was read yet.
    Unread,
    /// It belongs to this member.
    Of(usize, PairedBy),
    /// It could belong to several; what the detail named.
    Vague(Named),
    /// It belongs to no item of the batch, or it is a copy of another id, or it cannot be read.
    Nobodys,
    /// The very text came before in the same answer.
    Copy,
}

/// The fields of a detail that tell items apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// Fingerprint of the detail's agent id, when it has one.
    pub agent: Option<u64>,
    /// Fingerprint of the detail's unique id, when it has one.
    pub unique: Option<u64>,
    /// Whether the detail contradicts the batch itself: another action, another run's tag.
    pub foreign: bool,
}

/// How a remediation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The outcome.
    pub outcome: Settled,
    /// The API's status word as it came.
    pub status: Option<String>,
    /// The API's message or our reason.
    pub message: Option<String>,
}

/// An item reached its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The item.
    pub item: ItemId,
    /// Position of the id, when one is the item's own.
    pub index: Option<u16>,
    /// How they were tied together.
    pub by: Option<PairedBy>,
    /// The outcome.
    pub end: End,
}

impl Batch {
    /// A batch as its answer came. `usable` says of each returned id whether it can be read at all; ids that are there
    /// twice count once.
    pub fn new(step: u16, members: Vec<Member>, ids: &[String], compares_unique_id: bool) -> Self {
        let guesses = guess(&members, ids);
        let ids = ids
            .iter()
            .enumerate()
            .map(|(place, text)| Id {
                guess: guesses[place],
                proof: if text.is_empty() {
                    Proof::Nobodys
                } else if ids[..place].contains(text) {
                    Proof::Copy
                } else {
                    Proof::Unread
                },
                end: None,
                spent: false,
            })
            .collect();
        Self { step, members, ids, compares_unique_id }
    }

    /// How many ids the answer named.
    pub fn ids(&self) -> u16 {
        self.ids.len() as u16
    }

    /// Positions of the ids that are worth reading: usable, not ended, and of use to somebody.
    pub fn worth_reading(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.ids.len()).filter(|place| self.is_worth_reading(*place)).map(|place| place as u16)
    }

    /// Whether reading this id can still change an outcome.
    pub fn is_worth_reading(&self, place: usize) -> bool {
        let Some(id) = self.ids.get(place) else { return false };
        if id.end.is_some() || id.spent {
            return false;
        }
        match id.proof {
            Proof::Nobodys | Proof::Copy => false,
            Proof::Of(member, _) => !self.members[member].settled,
            Proof::Unread | Proof::Vague(_) => self.members.iter().any(|member| !member.settled),
        }
    }

    /// What a detail of the id at `place` shows. `Some` when it proves, for the first time, whose it is.
    pub fn evidence(&self, place: usize, named: Named) -> Option<(ItemId, PairedBy)> {
        match self.weigh(named) {
            Proof::Of(member, by) if self.ids[place].proof != Proof::Of(member, by) => {
                Some((self.members[member].item, by))
            }
            _ => None,
        }
    }

    /// The unsettled item that the id at `place` was proven to belong to, when a later detail of it names something
    /// else: what it says now is not about that item.
    pub fn contradicts(&self, place: usize, named: Named) -> Option<ItemId> {
        let Proof::Of(member, _) = self.ids[place].proof else { return None };
        let same = match self.weigh(named) {
            Proof::Of(other, _) => other == member,
            Proof::Vague(_) => true,
            Proof::Nobodys | Proof::Copy | Proof::Unread => false,
        };
        (!same && !self.members[member].settled).then(|| self.members[member].item)
    }

    /// Remembers what a detail that proved nothing named.
    pub fn remember(&mut self, place: usize, named: Named) {
        let proof = self.weigh(named);
        let id = &mut self.ids[place];
        if !matches!(proof, Proof::Of(..)) && !matches!(id.proof, Proof::Of(..)) {
            id.proof = proof;
        }
    }

    /// The id at `place` was shown to belong to `item`; false when the batch does not hold the two.
    #[must_use = "a pair outside the batch is a damaged journal"]
    pub fn pair(&mut self, place: usize, item: ItemId, by: PairedBy) -> bool {
        let member = self.members.iter().position(|member| member.item == item);
        match (self.ids.get_mut(place), member) {
            (Some(id), Some(member)) => {
                id.proof = Proof::Of(member, by);
                true
            }
            _ => false,
        }
    }

    /// The remediation at `place` ended like this; the first end counts.
    pub fn end(&mut self, place: usize, end: End) {
        self.ids[place].end.get_or_insert(end);
    }

    /// An item has its outcome, read from the id at `place` if from any; false when it is not of this batch or had one.
    #[must_use = "an item settled twice is a damaged journal"]
    pub fn settle(&mut self, item: ItemId, place: Option<usize>) -> bool {
        if let Some(place) = place {
            match self.ids.get_mut(place) {
                Some(id) => id.spent = true,
                None => return false,
            }
        }
        match self.members.iter_mut().find(|member| member.item == item && !member.settled) {
            Some(member) => {
                member.settled = true;
                true
            }
            None => false,
        }
    }

    /// Whether every item has its outcome.
    pub fn is_done(&self) -> bool {
        self.members.iter().all(|member| member.settled)
    }

    /// What can be said now, in the members' order. Saying it again after it was applied brings nothing new.
    pub fn rulings(&self) -> Vec<Ruling> {
        let mut rulings: Vec<(usize, Ruling)> = Vec::new();
        for (place, id) in self.ids.iter().enumerate() {
            if let (Proof::Of(member, by), Some(end), false) = (id.proof, &id.end, id.spent)
                && !self.members[member].settled
                && !rulings.iter().any(|(known, _)| *known == member)
            {
                rulings.push((member, self.ruling(member, Some(place), Some(by), end.clone())));
            }
        }
        if !self.ids.iter().any(|id| id.proof == Proof::Unread && id.end.is_none() && !id.spent) {
            self.rule_the_rest(&mut rulings);
        }
        rulings.sort_by_key(|(member, _)| *member);
        rulings.into_iter().map(|(_, ruling)| ruling).collect()
    }

    /// Every id has been read or given up: the members that no id was proven for.
    fn rule_the_rest(&self, rulings: &mut Vec<(usize, Ruling)>) {
        let proven: Vec<usize> = self.ids.iter().filter_map(|id| id.proof.member()).collect();
        let mut left: Vec<usize> =
            (0..self.members.len()).filter(|place| !self.members[*place].settled && !proven.contains(place)).collect();
        let vague: Vec<usize> = (0..self.ids.len()).filter(|place| self.is_vague(*place)).collect();
        if vague.iter().any(|place| self.ids[*place].end.is_none()) {
            return;
        }
        for named in self.distinct_names(&vague) {
            self.rule_vague(named, &mut left, rulings);
        }
        self.rule_unread(&mut left, rulings);
        for member in left {
            rulings.push((member, self.ruling(member, None, None, self.without_id(member))));
        }
    }

    /// The ids of which the details named the same, too little to tell their candidates apart.
    fn rule_vague(&self, named: Named, left: &mut Vec<usize>, rulings: &mut Vec<(usize, Ruling)>) {
        let ids: Vec<usize> = (0..self.ids.len())
            .filter(|place| self.is_vague(*place) && self.ids[*place].proof == Proof::Vague(named))
            .collect();
        let candidates: Vec<usize> = left.iter().copied().filter(|place| self.fits(*place, named)).collect();
        if candidates.is_empty() {
            return;
        }
        left.retain(|place| !candidates.contains(place));
        let ends: Vec<&End> = ids.iter().filter_map(|place| self.ids[*place].end.as_ref()).collect();
        let alike = ends.windows(2).all(|two| two[0].outcome == two[1].outcome);
        if ids.len() == candidates.len() && alike {
            let by = if ids.len() == 1 { PairedBy::OnlyOneLeft } else { PairedBy::AllAlike };
            for (member, (id, end)) in candidates.into_iter().zip(ids.into_iter().zip(ends)) {
                rulings.push((member, self.ruling(member, Some(id), Some(by), end.clone())));
            }
            return;
        }
        let why =
            if alike { "its batch has fewer or more ids than items and" } else { "its batch ended differently and" };
        for member in candidates {
            let end = End {
                outcome: Settled::Unmatched,
                status: None,
                message: Some(format!("{why} no detail tells the items apart")),
            };
            rulings.push((member, self.ruling(member, None, None, end)));
        }
    }

    /// Ids that ended without ever showing a detail: they count for the member they were read for.
    fn rule_unread(&self, left: &mut Vec<usize>, rulings: &mut Vec<(usize, Ruling)>) {
        for (place, id) in self.ids.iter().enumerate() {
            let (Proof::Unread, Some(end), false) = (id.proof, &id.end, id.spent) else { continue };
            let member = id.guess.filter(|guess| left.contains(guess)).or_else(|| left.first().copied());
            if let Some(member) = member {
                left.retain(|other| *other != member);
                rulings.push((member, self.ruling(member, Some(place), None, end.clone())));
            }
        }
    }

    fn is_vague(&self, place: usize) -> bool {
        matches!(self.ids[place].proof, Proof::Vague(_)) && !self.ids[place].spent
    }

    fn without_id(&self, member: usize) -> End {
        let foreign = self.ids.iter().any(|id| id.guess == Some(member) && id.proof == Proof::Nobodys);
        let (outcome, message) = if foreign {
            (Settled::Unmatched, "the id that came for it is unreadable or belongs to something else")
        } else {
            (Settled::Unknown, "accepted, but no remediation id came back for it")
        };
        End { outcome, status: None, message: Some(message.to_owned()) }
    }

    fn ruling(&self, member: usize, place: Option<usize>, by: Option<PairedBy>, end: End) -> Ruling {
        Ruling { item: self.members[member].item, index: place.map(|place| place as u16), by, end }
    }

    fn distinct_names(&self, vague: &[usize]) -> Vec<Named> {
        let mut names: Vec<Named> = Vec::new();
        for place in vague {
            if let Proof::Vague(named) = self.ids[*place].proof
                && !names.contains(&named)
            {
                names.push(named);
            }
        }
        names.sort_by_key(|named| (named.agent.is_none(), named.unique.is_none()));
        names
    }

    fn fits(&self, member: usize, named: Named) -> bool {
        let member = &self.members[member];
        named.agent.is_none_or(|agent| agent == member.agent)
            && (!self.compares_unique_id || named.unique.is_none_or(|unique| unique == member.unique))
    }

    /// The detail decides: whom it names, and whether it names one alone.
    fn weigh(&self, named: Named) -> Proof {
        let named = Named { unique: named.unique.filter(|_| self.compares_unique_id), ..named };
        if named.foreign {
            return Proof::Nobodys;
        }
        let by = match (named.agent, named.unique) {
            (Some(_), Some(_)) => PairedBy::AgentAndUniqueId,
            (Some(_), None) => PairedBy::Agent,
            (None, Some(_)) => PairedBy::UniqueId,
            (None, None) => return Proof::Vague(named),
        };
        let mut fitting = (0..self.members.len()).filter(|member| self.fits(*member, named));
        match (fitting.next(), fitting.next()) {
            (None, _) => Proof::Nobodys,
            (Some(member), None) => Proof::Of(member, by),
            (Some(_), Some(_)) => Proof::Vague(named),
        }
    }
}

impl Proof {
    fn member(self) -> Option<usize> {
        match self {
            Self::Of(member, _) => Some(member),
            Self::Unread | Self::Vague(_) | Self::Nobodys | Self::Copy => None,
        }
    }
}

/// For whom each id is read first: the member whose agent stands in the id, when just one does and it is free; the
/// rest by position.
fn guess(members: &[Member], ids: &[String]) -> Vec<Option<usize>> {
    let mut free = vec![true; members.len()];
    let mut guesses = vec![None; ids.len()];
    for (place, text) in ids.iter().enumerate() {
        let mut named = text.split('_').map(fingerprint).flat_map(|part| {
            members.iter().enumerate().filter(move |(_, member)| member.agent == part).map(|(index, _)| index)
        });
        if let (Some(member), None) = (named.next(), named.next())
            && free[member]
        {
            free[member] = false;
            guesses[place] = Some(member);
        }
    }
    for (place, guess) in guesses.iter_mut().enumerate().filter(|(_, guess)| guess.is_none()) {
        let next = if free.get(place) == Some(&true) { Some(place) } else { free.iter().position(|free| *free) };
        if let Some(member) = next {
            free[member] = false;
            *guess = Some(member);
        }
    }
    guesses
}

#[cfg(test)]
mod tests;
