//! A tenant of our own: the vendor's endpoints on loopback or in process, with a ledger of what it carried out.
