//! The tenant of a plan: found by what was typed or by what a playbook says, and what stands in for it.

use super::inputs::{at, read_tenant_file, search_tenant};
use crate::cli::Selection;
use crate::error::Failure;
use crate::plan::PlannedFile;
use crate::playbook::Playbook;
use crate::problem::{Place, Problem};
use crate::simulator::{Options, SimAction, Simulator};
use crate::tenant::{self, Tenant};

/// Where the built-in simulator pretends to be.
const SIMULATOR_URL: &str = "http://127.0.0.1";

/// A tenant as it is used, what stands in for it, and the file that it was read from.
pub(super) struct Located {
    pub(super) tenant: Tenant,
    pub(super) simulator: Option<Simulator>,
    pub(super) file: Option<PlannedFile>,
}

/// Finds and reads the tenant of a playbook, or of an events file.
pub(super) fn find_tenant(
    selection: &Selection,
    playbook: Option<&Playbook>,
    simulate: bool,
    problems: &mut Vec<Problem>,
) -> Result<Option<Located>, Failure> {
    let wanted = playbook.and_then(|playbook| playbook.tenant.as_ref());
    let file = match (&selection.tenant.tenant, wanted) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(name)) => search_tenant(&selection.file, &name.value),
        (None, None) => None,
    };
    let Some(file) = file else {
        if simulate {
            let (tenant, simulator) = simulated(None)?;
            return Ok(Some(Located { tenant, simulator, file: None }));
        }
        problems.push(no_tenant(selection, playbook));
        return Ok(None);
    };
    let Some((tenant, file)) = read_tenant_file(&file, problems) else { return Ok(None) };
    let file = Some(file);
    if !simulate {
        return Ok(Some(Located { tenant, simulator: None, file }));
    }
    // The plan holds the simulator's name against the playbook's; here it is the name of what it stands in for.
    if let (Some(playbook), Some(wanted)) = (playbook, wanted.filter(|wanted| wanted.value != tenant.name)) {
        let message = format!("this playbook is for the tenant `{}`, not for `{}`", wanted.value, tenant.name);
        problems.push(at(playbook, wanted.place, message));
    }
    let (tenant, simulator) = simulated(Some(tenant))?;
    Ok(Some(Located { tenant, simulator, file }))
}

fn no_tenant(selection: &Selection, playbook: Option<&Playbook>) -> Problem {
    const HELP: &str = "give --tenant FILE, or --simulate to try it without one";
    let file = selection.file.to_string_lossy();
    match playbook.and_then(|playbook| Some((playbook, playbook.tenant.as_ref()?))) {
        Some((playbook, name)) => {
            let message = format!("there is no tenants/{}.yaml beside this playbook or above it", name.value);
            at(playbook, name.place, message).with_help(HELP)
        }
        None => Problem::new(&*file, Place::default(), "nothing says which tenant this is for").with_help(HELP),
    }
}

/// The built-in simulator and its tenant; with the actions, columns and words of the tenant it stands in for.
fn simulated(tenant: Option<Tenant>) -> Result<(Tenant, Option<Simulator>), Failure> {
    let mut options = Options { latency: crate::simulator::Delay::None, ..Options::default() };
    if let Some(tenant) = &tenant {
        options.actions = tenant.actions.iter().map(SimAction::from).collect();
    }
    let simulator = Simulator::new(options);
    let yaml = simulator.tenant_yaml(SIMULATOR_URL);
    let mut stand_in = tenant::read("the simulator's tenant", &yaml).map_err(Failure::Problems)?;
    if let Some(tenant) = tenant {
        stand_in.actions = tenant.actions;
        stand_in.columns = tenant.columns;
        stand_in.guards = tenant.guards;
        stand_in.protected = tenant.protected;
    }
    Ok((stand_in, Some(simulator)))
}
