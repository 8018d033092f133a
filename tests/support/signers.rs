//! People who sign plans: keys from fixed seeds, and their lines in an allowed signers file. No agent, no git and no
//! ssh-keygen is asked.

use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

/// The private key of that number, as `quell approve --key` reads it.
pub(crate) fn key(number: u8) -> String {
    private(number).to_openssh(LineEnding::LF).expect("a key").to_string()
}

/// The line that lets the key of that number sign plans under that name.
pub(crate) fn signer(name: &str, number: u8) -> String {
    let key = private(number).public_key().to_openssh().expect("a public key");
    format!("{name} namespaces=\"quell\" {key}\n")
}

fn private(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}
