//! Keys: making a signature with one, and proving that a signature was made with it.
//!
//! It knows Ed25519, ECDSA on P-256 and P-384, RSA from 2048 bits, and Ed25519 keys in hardware. Everything else is told to
//! be unknown, and a signature by it does not count. A signature that a hardware key made without being touched does not
//! count either: an approval is what a person does.

use super::Approval;
use super::verdict::Why;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

/// What signatures are made for; one that was made for something else, such as git's commits, does not count.
pub const NAMESPACE: &str = "quell";
/// The bit of a hardware key's flags that says that somebody touched it.
const TOUCHED: u8 = 1;
/// What follows a hardware key's signature: its flags and a counter, in bytes.
const TRAILER_BYTES: usize = 5;

/// A key as people compare it: `SHA256:…`.
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Whether a signature by this key could be proven.
///
/// # Errors
/// Why not.
pub fn check_key(key: &KeyData) -> Result<(), String> {
    match key.algorithm() {
        Algorithm::Ed25519
        | Algorithm::SkEd25519
        | Algorithm::Rsa { .. }
        | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384 } => Ok(()),
        other => Err(format!("signatures of {} keys cannot be proven", other.as_str())),
    }
}

/// Signs a line in this process: the armored signature, as `ssh-keygen -Y sign -n quell` makes it.
///
/// # Errors
/// When the key is encrypted, in hardware, or of a kind that is left to `ssh-keygen`.
pub fn sign(line: &str, key: &PrivateKey) -> Result<String, ssh_key::Error> {
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes())?;
    signature.to_pem(LineEnding::LF)
}

/// Whether the signature is one over the approval's line, made for quell by the key that it names.
pub(super) fn prove(approval: &Approval) -> Result<(), Why> {
    let signature = &approval.signature;
    if signature.namespace() != NAMESPACE {
        return Err(Why::OtherNamespace(signature.namespace().to_owned()));
    }
    let key = signature.public_key();
    check_key(key).map_err(Why::UnknownKind)?;
    let message = approval.line.as_bytes();
    // What is reserved is signed too; it means something that this version does not know.
    let is_plain = signature.version() == SshSig::VERSION && signature.reserved().is_empty();
    let is_good = is_plain
        && match key {
            KeyData::Rsa(rsa) => is_good_rsa(rsa, message, signature),
            key => PublicKey::from(key.clone()).verify(NAMESPACE, message, signature).is_ok(),
        };
    match key {
        _ if !is_good => Err(Why::BadSignature),
        KeyData::SkEd25519(_) if !was_touched(signature) => Err(Why::Untouched),
        _ => Ok(()),
    }
}

/// By ring, which is here for TLS; the crate that ssh-key would take for it has an open advisory.
fn is_good_rsa(key: &RsaPublicKey, message: &[u8], signature: &SshSig) -> bool {
    let rules = match signature.algorithm() {
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) } => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => &RSA_PKCS1_2048_8192_SHA256,
        // SHA-1, or another kind of key altogether.
        _ => return false,
    };
    let (Some(n), Some(e)) = (key.n.as_positive_bytes(), key.e.as_positive_bytes()) else { return false };
    let signed = SshSig::signed_data(NAMESPACE, signature.hash_alg(), message);
    signed
        .is_ok_and(|signed| RsaPublicKeyComponents { n, e }.verify(rules, &signed, signature.signature_bytes()).is_ok())
}

fn was_touched(signature: &SshSig) -> bool {
    let bytes = signature.signature_bytes();
    let flags = bytes.len().checked_sub(TRAILER_BYTES).and_then(|at| bytes.get(at));
    flags.is_some_and(|flags| flags & TOUCHED != 0)
}
