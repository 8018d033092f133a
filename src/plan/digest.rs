//! A plan's digest: what a reviewer approves and a run carries out are the same when their digests are.
//!
//! Version 2: SHA-256 over `quell.plan/2`, then every field in the order below. A text is its length in bytes as 8 bytes,
//! little end first, then its bytes; a number is 8 bytes, little end first; a list is its length, then its elements; an
//! optional value is 0, or 1 and the value. Of files only the name counts and not the folder, so that the same files give
//! the same digest from any folder. Nothing is taken from the clock, the environment or the order of a hash table.

use super::guards::{Blocked, Bound, Guard, Hold, PlannedGuards, SetBy, Share};
use super::{
    Budget, DroppedWave, Leaving, LeftOut, OnUnknown, Origin, OriginKind, Overlap, Permitted, Plan, PlanHeader,
    PlannedApproval, PlannedFile, PlannedFlow, PlannedItem, PlannedRelease, PlannedReport, PlannedStep, PlannedTenant,
    RowWithoutItem,
};
use crate::events::{Event, RowPlace};
use crate::playbook::{Promote, Schedule};
use crate::tenant::{Action, ApiVersion, Auth, FillField, Limits, Polling, Rate, RequestType, Statuses};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;

/// What every encoding of this version begins with.
const VERSION: &str = "quell.plan/2";

/// The digest of everything in the plan but the digest itself, in hexadecimal.
pub(super) fn digest(plan: &Plan) -> String {
    let mut canon = Canon(Sha256::new());
    let Plan { header, events, items, rows_without_item } = plan;
    canon.text(VERSION);
    canon.header(header);
    canon.list(events, Canon::event);
    canon.list(items, |canon, &PlannedItem { event, step, target }| {
        canon.number(u64::from(event));
        canon.number(u64::from(step));
        canon.number(u64::from(target));
    });
    canon.list(rows_without_item, |canon, RowWithoutItem { row, source, line, byte, reason }| {
        canon.place(RowPlace { row: *row, source: *source, line: *line });
        canon.option(byte.as_ref(), |canon, byte| canon.number(*byte));
        canon.text(reason);
    });
    canon.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fields are taken apart by name, so that a new one cannot be forgotten here.
struct Canon(Sha256);

impl Canon {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn list<T>(&mut self, elements: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(elements.len() as u64);
        elements.iter().for_each(|element| each(self, element));
    }

    fn texts(&mut self, texts: &[String]) {
        self.list(texts, |canon, text| canon.text(text));
    }

    fn option<T>(&mut self, value: Option<&T>, some: impl FnOnce(&mut Self, &T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            some(self, value);
        }
    }

    /// Not its folder: it is another on every machine.
    fn file_name(&mut self, path: &Path) {
        self.text(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    }

    fn time(&mut self, time: Duration) {
        self.number(time.as_secs());
        self.number(u64::from(time.subsec_nanos()));
    }

    fn rate(&mut self, rate: &Rate) {
        let Rate { calls, window } = rate;
        self.number(u64::from(*calls));
        self.time(*window);
    }

    fn header(&mut self, header: &PlanHeader) {
        let PlanHeader {
            playbook,
            description,
            comment,
            tenant,
            steps,
            limits,
            polling,
            statuses,
            dedupe_window,
            overlap,
            release,
            guards,
            blocked,
            sources,
            rows,
            reports,
            // What plans is not what is planned: another version that plans the same gives the same digest.
            tool_version: _,
            files,
            origin,
            approval,
            digest: _,
        } = header;
        self.text(playbook);
        self.text(description);
        self.text(comment);
        self.tenant(tenant);
        self.list(steps, |canon, PlannedStep { name, action, filter, on_unknown, inverse_id, inverse, flow }| {
            canon.text(name);
            canon.action(action);
            canon.option(filter.as_ref(), |canon, filter| canon.text(filter));
            canon.number(u64::from(*on_unknown == OnUnknown::Continue));
            canon.option(inverse_id.as_ref(), |canon, id| canon.0.update(id.to_le_bytes()));
            canon.option(inverse.as_ref(), Canon::action);
            canon.flow(flow);
        });
        self.limits(limits);
        self.polling(polling);
        let Statuses { succeeded, failed, pending } = statuses;
        self.texts(succeeded);
        self.texts(failed);
        self.texts(pending);
        self.time(*dedupe_window);
        let wait = match overlap {
            Overlap::Forbid => None,
            Overlap::Wait(longest) => Some(longest),
        };
        self.option(wait, |canon, longest| canon.time(*longest));
        self.release(release);
        self.guards(guards);
        self.list(blocked, |canon, Blocked { rule, items }| {
            canon.text(rule);
            canon.list(items, |canon, item| canon.number(u64::from(*item)));
        });
        self.list(sources, |canon, source| canon.file_name(Path::new(source)));
        self.number(u64::from(*rows));
        self.list(reports, |canon, PlannedReport { format, path }| {
            match format.strip_prefix("template:") {
                Some(template) => {
                    canon.text("template");
                    canon.file_name(Path::new(template));
                }
                None => canon.text(format),
            }
            canon.text(path);
        });
        self.list(files, |canon, PlannedFile { role, name, sha256 }| {
            canon.text(role.as_str());
            canon.file_name(Path::new(name));
            canon.text(sha256);
        });
        self.option(origin.as_ref(), Self::origin);
        // With its name, and not as an optional value: a plan that asks for none keeps the digest it had before any could.
        if let Some(PlannedApproval { min, not_author, ttl, when, needed, vars }) = approval {
            self.text("approval");
            self.number(u64::from(*min));
            self.number(u64::from(*not_author));
            self.time(*ttl);
            self.option(when.as_ref(), |canon, when| canon.text(when));
            self.number(u64::from(*needed));
            if !vars.is_empty() {
                self.text("vars");
                self.number(vars.len() as u64);
                vars.iter().flat_map(|(name, value)| [name, value]).for_each(|text| self.text(text));
            }
        }
    }

    fn origin(&mut self, Origin { kind, run, permitted, left_out }: &Origin) {
        self.text(match kind {
            OriginKind::Retry => "retry",
            OriginKind::Undo => "undo",
        });
        self.text(run);
        self.option(permitted.as_ref(), |canon, Permitted { items, reason }| {
            canon.list(items, |canon, item| canon.number(u64::from(*item)));
            canon.text(reason);
        });
        self.list(left_out, |canon, LeftOut { step, state, reason, count, items }| {
            canon.text(step);
            canon.number(match state {
                Leaving::CannotBeUndone => 0,
                Leaving::NobodyKnows => 1,
                Leaving::NothingToUndo => 2,
            });
            canon.text(reason);
            canon.number(u64::from(*count));
            canon.text(items);
        });
    }

    fn flow(&mut self, flow: &PlannedFlow) {
        let PlannedFlow { after, once, allow_failure, max_event_age } = flow;
        self.option(after.as_ref(), |canon, (step, when)| {
            canon.number(u64::from(*step));
            canon.text(when.as_str());
        });
        self.number(u64::from(*once));
        self.number(u64::from(*allow_failure));
        self.option(max_event_age.as_ref(), |canon, age| canon.time(*age));
    }

    fn release(&mut self, release: &PlannedRelease) {
        let PlannedRelease { target, waves, dropped, promote, budget, stop_file, go_url, schedule } = release;
        self.option(stop_file.as_ref(), |canon, path| canon.text(path));
        self.option(go_url.as_ref(), |canon, url| canon.text(url));
        let Schedule { windows, blackouts } = schedule;
        for spans in [windows, blackouts] {
            self.list(spans, |canon, span| canon.text(&span.to_string()));
        }
        self.option(target.as_ref(), |canon, column| canon.text(column));
        self.list(waves, |canon, end| canon.number(u64::from(*end)));
        // With its name, and only where there is one, as an approval: all other plans keep their digest.
        if !dropped.is_empty() {
            self.text("dropped");
            self.list(dropped, |canon, DroppedWave { written, targets, before }| {
                canon.text(written);
                canon.number(u64::from(*targets));
                canon.number(u64::from(*before));
            });
        }
        let Promote { settled, failures, within, confirm_within } = promote;
        self.number(u64::from(settled.0));
        self.number(u64::from(*failures));
        self.option(within.as_ref(), |canon, time| canon.time(*time));
        self.option(confirm_within.as_ref(), |canon, time| canon.time(*time));
        self.option(budget.as_ref(), |canon, Budget { tolerated, written, min_settled, strict }| {
            canon.number(u64::from(*tolerated));
            canon.text(written);
            canon.number(u64::from(*min_settled));
            canon.number(u64::from(*strict));
        });
    }

    fn guards(&mut self, guards: &PlannedGuards) {
        let PlannedGuards { bounds, by_flags, holds } = guards;
        self.list(bounds, |canon, Bound { guard, most, default, ceiling, set_by }| {
            canon.guard(guard);
            canon.number(u64::from(*most));
            for number in [default, ceiling] {
                canon.option(number.as_ref(), |canon, number| canon.number(u64::from(*number)));
            }
            canon.number(match set_by {
                SetBy::Default => 0,
                SetBy::Tenant => 1,
                SetBy::Playbook => 2,
                SetBy::Flag => 3,
            });
        });
        self.number(u64::from(*by_flags));
        self.list(holds, |canon, Hold { guard, host, found, limit, ceiling, raise, rows }| {
            canon.guard(guard);
            canon.option(host.as_ref(), |canon, host| canon.text(host));
            canon.number(u64::from(*found));
            canon.number(u64::from(*limit));
            canon.option(ceiling.as_ref(), |canon, ceiling| canon.number(u64::from(*ceiling)));
            canon.text(raise);
            canon.list(rows, |canon, row| canon.number(u64::from(*row)));
        });
    }

    fn guard(&mut self, guard: &Guard) {
        self.text(guard.word());
        match guard {
            Guard::MaxItems | Guard::MaxHosts | Guard::MaxPerHost | Guard::MaxIrreversible => {}
            Guard::MaxPerAction(name) | Guard::Protected(name) => self.text(name),
            Guard::MaxPercentOf(Share { of, percent, file }) => {
                self.number(u64::from(*of));
                self.number(u64::from(*percent));
                self.option(file.as_ref(), |canon, (file, sha256)| {
                    canon.file_name(Path::new(file));
                    canon.text(sha256);
                });
            }
        }
    }

    fn tenant(&mut self, tenant: &PlannedTenant) {
        let PlannedTenant { name, base_url, api_version, user, user_id, auth, simulated } = tenant;
        self.text(name);
        self.text(base_url);
        self.text(match api_version {
            ApiVersion::V1 => "v1",
            ApiVersion::Unversioned => "unversioned",
        });
        self.text(user);
        self.text(user_id);
        match auth {
            Auth::TokenEnv(name) => {
                self.text("token_env");
                self.text(name);
            }
            Auth::TokenFile(path) => {
                self.text("token_file");
                self.file_name(path);
            }
            Auth::TokenCommand(words) => {
                self.text("token_command");
                self.texts(words);
            }
        }
        self.number(u64::from(*simulated));
    }

    fn action(&mut self, action: &Action) {
        let Action { name, id, event_types, reversible, inverse, repeat_safe, fill, request_type, shown_as } = action;
        let field = |field: &FillField| match field {
            FillField::AgentId => 0,
            FillField::EventId => 1,
            FillField::UniqueId => 2,
        };
        self.text(name);
        self.0.update(id.to_le_bytes());
        self.list(event_types, |canon, kind| canon.text(kind.as_str()));
        self.number(u64::from(*reversible));
        self.option(inverse.as_ref(), |canon, inverse| canon.text(inverse));
        self.number(u64::from(*repeat_safe));
        self.list(fill, |canon, (to, from)| {
            canon.number(field(to));
            canon.number(field(from));
        });
        self.text(match request_type {
            RequestType::ActivityLog => "activityLog",
            RequestType::QuarantinedItem => "quarantinedItem",
        });
        self.texts(shown_as);
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits { requests, keep_free, concurrency, batch_size, act_timeout, poll_timeout } = limits;
        self.option(requests.as_ref(), Self::rate);
        self.option(keep_free.as_ref(), Self::rate);
        self.number(u64::from(*concurrency));
        self.number(u64::from(*batch_size));
        self.time(*act_timeout);
        self.time(*poll_timeout);
    }

    fn polling(&mut self, polling: &Polling) {
        let Polling { first_after, interval, interval_max, deadline, not_found_grace } = polling;
        for time in [first_after, interval, interval_max, deadline, not_found_grace] {
            self.time(*time);
        }
    }

    fn place(&mut self, place: RowPlace) {
        let RowPlace { row, source, line } = place;
        self.number(u64::from(row));
        self.number(u64::from(source));
        self.number(u64::from(line));
    }

    fn event(&mut self, event: &Event) {
        let Event { place, agent_id, event_id, event_type, pid, unique_id, action, attributes } = event;
        self.place(*place);
        self.text(agent_id);
        self.text(event_id);
        self.text(event_type.as_str());
        self.number(u64::from(*pid));
        self.text(unique_id);
        self.option(action.as_ref(), |canon, action| canon.text(action));
        self.text(attributes);
    }
}
