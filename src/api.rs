//! The API over HTTP: a call becomes a request, an answer becomes a reply. It decides nothing.
