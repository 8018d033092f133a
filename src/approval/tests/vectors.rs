//! Signatures that `ssh-keygen -Y sign` made, and keys of every kind that is known and of one that is not. The fixed
//! vectors were made once, with keys whose private halves are gone.

use super::*;
use ring::signature::Ed25519KeyPair;
use ssh_key::private::{EcdsaKeypair, KeypairData};
use ssh_key::public::{KeyData, PublicKey, SkEd25519};
use ssh_key::rand_core::{CryptoRng, Error, RngCore};
use ssh_key::sha2::{Digest, Sha256};
use ssh_key::{Algorithm, EcdsaCurve, Signature, SshSig};

const SIGNATURES: &str = include_str!("made_by_ssh_keygen.sig");
const SIGNERS: &str = include_str!("allowed_signers");

#[test]
fn signatures_of_ssh_keygen_are_believed_as_its_keys_are_known() {
    let mut world =
        World { signatures: SIGNATURES.to_owned(), signers: SIGNERS.to_owned(), operator: Some("carol"), ..world() };
    world.requirement.min = 4;
    assert_eq!(world.said(), "ed25519@example.com, ecdsa-256@example.com, ecdsa-384@example.com, rsa-2048@example.com");
    world.requirement.min = 5;
    assert_eq!(
        world.said(),
        "4 of 5 approvals\n  approval 5, by ecdsa-521@example.com, does not count: signatures of ecdsa-sha2-nistp521 keys \
         cannot be proven"
    );
}

#[test]
fn a_signature_of_ssh_keygen_is_no_other_ones() {
    for (from, to) in [("ecdsa-256@", "ecdsa-384@"), ("rsa-2048@", "rsa-4096@"), ("ecdsa-384@", "ecdsa-256@")] {
        let mut world = World {
            signatures: SIGNATURES.replace(from, to),
            signers: SIGNERS.replace(from, to),
            operator: Some("carol"),
            ..world()
        };
        world.requirement.min = 4;
        assert!(world.said().contains("its signature is not good"), "{}", world.said());
    }
}

#[test]
fn what_is_signed_here_is_written_as_ssh_keygen_writes_it() {
    let file = SignatureFile::read(SIGNATURES).expect("its form is the same");
    assert_eq!(file.approvals.len(), 5);
    assert_eq!(file.text().as_deref(), Ok(SIGNATURES));
}

/// The same bytes every time.
struct Seeded(u8);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        u32::from(self.0)
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.0)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

#[test]
fn keys_of_every_curve_sign_and_are_believed() {
    for curve in [EcdsaCurve::NistP256, EcdsaCurve::NistP384] {
        let pair = EcdsaKeypair::random(&mut Seeded(7), curve).expect("a key");
        let key = PrivateKey::new(KeypairData::Ecdsa(pair), "").expect("a key");
        let line = payload("alice@example.com").line().expect("sound");
        let signatures = format!("{line}\n{}", sign(&line, &key).expect("it signs"));
        let signers = format!("alice@example.com {}\n", key.public_key().to_openssh().expect("a public key"));
        let world = World { signatures, signers, ..world() };
        assert_eq!(world.said(), "alice@example.com", "{curve:?}");
    }
}

/// What a hardware key makes: a signature over hashes, its flags and its counter.
fn by_hardware(flags: u8) -> World {
    let seed = [9; 32];
    let public = *key(9).public_key().key_data().ed25519().expect("an Ed25519 key");
    let key = KeyData::SkEd25519(SkEd25519::new(public, "ssh:"));
    let line = payload("alice@example.com").line().expect("sound");
    let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("it is written");
    let trailer = [&[flags][..], &7_u32.to_be_bytes()].concat();
    let hashed = [&Sha256::digest("ssh:")[..], &trailer, &Sha256::digest(message)].concat();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key");
    let bytes = [pair.sign(&hashed).as_ref(), &trailer].concat();
    let signature = Signature::new(Algorithm::SkEd25519, bytes).expect("a signature");
    let signature = SshSig::new(key.clone(), NAMESPACE, HashAlg::Sha512, signature).expect("a signature");
    let armored = signature.to_pem(LineEnding::LF).expect("it is written");
    let public = PublicKey::from(key).to_openssh().expect("a public key");
    World { signatures: format!("{line}\n{armored}"), signers: format!("alice@example.com {public}\n"), ..world() }
}

#[test]
fn a_hardware_key_counts_when_it_was_touched() {
    assert_eq!(by_hardware(1).said(), "alice@example.com");
    assert_eq!(by_hardware(5).said(), "alice@example.com");
    let untouched = by_hardware(4).said();
    assert!(untouched.ends_with("does not count: its hardware key was not touched"), "{untouched}");
}
