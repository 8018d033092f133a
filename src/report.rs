//! Reports: plan and facts folded into a view, the view rendered. It never sees the journal.
