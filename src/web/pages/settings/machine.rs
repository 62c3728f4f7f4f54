//! What the server runs on, as facts of the page of settings: Docker, the disk, who is here.

use jiff::Timestamp;

use super::{Fact, Settings, Tone, survey::Survey};
use crate::{
    config::AllowedImages,
    host,
    pipeline::disk_use::DiskUse,
    sandbox::EngineFacts,
    web::{AppState, language, pages::figures},
};

pub(super) fn machine(state: &AppState, settings: Settings<'_>, survey: Option<&Survey>) -> Vec<Fact> {
    let mut facts = match survey.map(|survey| &survey.engine) {
        None => vec![looking("Docker Engine")],
        Some(Ok(engine)) => docker(engine),
        Some(Err(error)) => vec![Fact::new("Docker Engine", Tone::Bad, error.clone())],
    };
    facts.push(match host::kernel() {
        Ok(release) => Fact::new(tr!("Kernel"), Tone::Good, release),
        Err(problem) => Fact::new(tr!("Kernel"), Tone::Bad, problem),
    });
    if let (Some(available), needed) = (host::available_memory(), state.config.sandbox.memory_bytes) {
        let needed = u64::try_from(needed).unwrap_or(0);
        let tone = if available > needed { Tone::Good } else { Tone::Bad };
        let text = tr!(
            "{free} free; a task may use {needed}",
            free = figures::bytes(available),
            needed = figures::bytes(needed)
        );
        facts.push(Fact::new(tr!("Memory"), tone, text).from(settings.origin("sandbox", "memory_mb")));
    }
    facts
}

fn docker(engine: &EngineFacts) -> Vec<Fact> {
    let runc = engine.runc.clone().unwrap_or_else(|| tr!("not used").to_owned());
    let is_old = |name: &str| engine.warnings().iter().any(|text| text.starts_with(name));
    let tone = |name| if is_old(name) { Tone::Bad } else { Tone::Good };
    let version = format!("{} (API {})", engine.version, engine.api_version);
    let mut facts = vec![Fact::new("Docker Engine", tone("Docker"), version), Fact::new("runc", tone("runc"), runc)];
    facts.extend(
        engine.warnings().iter().map(|text| Fact::new(tr!("Update"), Tone::Bad, language::stored(text).into_owned())),
    );
    if engine.warnings().is_empty() {
        facts.push(Fact::new(tr!("Floors"), Tone::Good, tr!("met: no version with known ways out").to_owned()));
    }
    facts
}

pub(super) fn disk(state: &AppState, settings: Settings<'_>, survey: Option<&Survey>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Ok(space) = host::disk_space(state.data_dir.path()) {
        let reserve = state.config.queue.disk_reserve(space);
        let used = space.total.saturating_sub(space.free);
        let text = tr!(
            "{free} free of {total}; {used} used by all",
            free = figures::bytes(space.free),
            total = figures::bytes(space.total),
            used = figures::bytes(used)
        );
        facts.push(if space.free > reserve {
            Fact::new(tr!("Disk"), Tone::Good, text)
        } else {
            let reserve = figures::bytes(reserve);
            let text = tr!("{space}; no task starts below {reserve}: make room", space = text, reserve = reserve);
            Fact::new(tr!("Disk"), Tone::Bad, text)
        });
        let text = figures::bytes(reserve);
        facts.push(Fact::new(tr!("Reserve"), Tone::Good, text).from(settings.origin("queue", "min_free_disk_mb")));
    }
    match survey.map(|survey| (&survey.disk, &survey.images)) {
        None => facts.push(looking(tr!("Used by Atelier"))),
        Some((disk, images)) => {
            match disk {
                Ok(disk) => facts.extend(kinds(state, settings, disk)),
                Err(error) => facts.push(Fact::new(tr!("Used by Atelier"), Tone::Bad, error.clone())),
            }
            match images {
                Ok(images) => facts.extend(images.iter().map(|image| {
                    let size = figures::bytes(image.bytes);
                    let text = tr!("{size} with its layers, kept by Docker: {name}", size = size, name = image.name);
                    Fact::new(tr!("Image"), Tone::Good, text)
                })),
                Err(error) => facts.push(Fact::new(tr!("Image"), Tone::Bad, error.clone())),
            }
            if state.config.sandbox.allowed_images == AllowedImages::Any {
                let text = tr!("others that tasks named are among Docker's own; docker system df shows all of them");
                facts.push(Fact::new(tr!("Other images"), Tone::None, text.to_owned()));
            }
        }
    }
    facts
}

fn kinds(state: &AppState, settings: Settings<'_>, disk: &DiskUse) -> Vec<Fact> {
    let kept = |age: Option<jiff::SignedDuration>, next: Option<Timestamp>| match (age, next) {
        (None, _) => tr!("kept for good").to_owned(),
        (Some(age), None) => tr!("kept for {n} days", n = age.as_hours() / 24),
        (Some(age), Some(next)) => {
            tr!("kept for {n} days; the next goes on {date}", n = age.as_hours() / 24, date = figures::exact(next))
        }
    };
    let retention = state.config.retention;
    let leftovers = kept(retention.uploads, disk.next_leftovers);
    let logs = kept(retention.logs, disk.next_logs);
    let size = |what, bytes: u64| Fact::new(what, Tone::Good, figures::bytes(bytes));
    let kind = |what, bytes: u64, kept: &str, name: &str| {
        let text = format!("{} · {kept}", figures::bytes(bytes));
        Fact::new(what, Tone::Good, text).from(settings.origin("retention", name))
    };
    let mut facts = vec![
        size(tr!("Used by Atelier"), disk.sum()),
        size(tr!("Workspaces"), disk.workspaces),
        kind(tr!("Results"), disk.results, &leftovers, "uploads_days"),
        kind(tr!("Uploads"), disk.uploads, &leftovers, "uploads_days"),
        kind(tr!("Logs"), disk.logs, &logs, "logs_days"),
        size(tr!("Database"), disk.database),
    ];
    if let Some(budget) = retention.max_disk_bytes {
        let text = tr!("{size} for uploads, results and logs; beyond it the oldest go", size = figures::bytes(budget));
        facts.push(Fact::new(tr!("At most"), Tone::Good, text).from(settings.origin("retention", "max_disk_mb")));
    }
    facts
}

fn looking(what: &str) -> Fact {
    Fact::new(what, Tone::None, tr!("being looked at …").to_owned())
}
