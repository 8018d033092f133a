//! Categories of failure and the public exit codes; the one place that maps the first to the second.
