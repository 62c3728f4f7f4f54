//! What the rooms below say, in the reader's language: every kind has words of its own here. In English they are those that are
//! stored and told to programs; free text stays as it is.

use super::language::{self, Language};
use crate::{
    domain::{
        day_budget::DayLimitReached,
        failure::FailureKind,
        model_name::Models,
        pull_request::{PullRequest, PullRequestState},
    },
    pipeline::obstacle::Obstacle,
};

const MIB: u64 = 1024 * 1024;

pub(super) fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Starting => tr!("The server is starting.").to_owned(),
        Obstacle::Docker { .. } => tr!(
            "Docker does not answer. Tasks are taken and start by themselves once it does; `atelier doctor` on the server says \
             what to do."
        )
        .to_owned(),
        Obstacle::OldEngine { warnings } => tr!(
            "No task starts, for [sandbox] engine_check is \"strict\": {warnings} \"warn\" would go on all the same.",
            warnings = warnings
        ),
        Obstacle::Disk { free, reserve } => tr!(
            "The disk of the server is nearly full: {free} MB are free, {reserve} MB are kept in reserve. Tasks start by \
             themselves once there is room.",
            free = free / MIB,
            reserve = reserve / MIB
        ),
        Obstacle::DayBudget(DayLimitReached::Cost { used, limit }) => tr!(
            "All tasks together cost ${used} today, the server's limit is ${limit} ([agent] max_cost_usd_per_day). The day ends \
             at 00:00 UTC. Tasks start by themselves then.",
            used = format_args!("{used:.2}"),
            limit = format_args!("{limit:.2}")
        ),
        Obstacle::DayBudget(DayLimitReached::Tokens { used, limit }) => tr!(
            "All tasks together used {used} tokens today, the server's limit is {limit} ([agent] max_tokens_per_day). The day \
             ends at 00:00 UTC. Tasks start by themselves then.",
            used = used,
            limit = limit
        ),
        Obstacle::Provider(refusal) => {
            let which = match &refusal.models {
                Models::Of { provider } => tr!("models of {provider}", provider = provider),
                Models::One(model) => model.to_string(),
            };
            tr!(
                "{reason}. New tasks for {which} wait and start by themselves once it answers.",
                reason = refusal.reason,
                which = which
            )
        }
        Obstacle::Memory { free, needed } => tr!(
            "{free} MB of memory are free and a task may need {needed} MB; the next one starts when a running one has ended.",
            free = free / MIB,
            needed = needed / MIB
        ),
    }
}

pub(super) fn pull_request(pull_request: &PullRequest) -> String {
    let base = pull_request.base.as_deref().unwrap_or(tr!("the branch it was made on"));
    match &pull_request.state {
        PullRequestState::Publishing => {
            tr!("The result is being published as {branch}.", branch = pull_request.branch)
        }
        PullRequestState::Opened => {
            tr!("The pull request is there: {url}", url = pull_request.url.as_deref().unwrap_or_default())
        }
        PullRequestState::NeedsConfirmation { files } => {
            let count = tr_count!(files.len() as u64, "one changed file", "{n} changed files");
            tr!(
                "Nothing was pushed yet: {count} can run programs, give rights or hide something once they are pushed. Look at \
                 the changes of {files}, then confirm.",
                count = count,
                files = files.join(", ")
            )
        }
        PullRequestState::Conflict { files } => tr!(
            "Nothing was pushed: {base} was changed meanwhile in the same places. In conflict: {files}. Start the task again on \
             the new state, or apply diff.patch by hand.",
            base = base,
            files = files.join(", ")
        ),
        PullRequestState::NothingToPublish => {
            tr!("Nothing was pushed: nothing differs from {base}.", base = base)
        }
        PullRequestState::Failed { failure } => failure.message.clone(),
    }
}

/// In English the kind itself.
pub(super) fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::CloneFailed => tr!("clone failed"),
        FailureKind::CloneTimeout => tr!("clone timeout"),
        FailureKind::AddressNotAllowed => tr!("address not allowed"),
        FailureKind::RedirectRefused => tr!("redirect refused"),
        FailureKind::TooLarge => tr!("too large"),
        FailureKind::ZipInvalid => tr!("zip invalid"),
        FailureKind::SetupFailed => tr!("setup failed"),
        FailureKind::SetupTimeout => tr!("setup timeout"),
        FailureKind::NoOutput => tr!("no output"),
        FailureKind::DockerUnavailable => tr!("docker unavailable"),
        FailureKind::DockerRestart => tr!("docker restart"),
        FailureKind::ImageMissing => tr!("image missing"),
        FailureKind::NetworkNotCut => tr!("network not cut"),
        FailureKind::Timeout => tr!("timeout"),
        FailureKind::Oom => tr!("oom"),
        FailureKind::DiskLimit => tr!("disk limit"),
        FailureKind::ContainerKilled => tr!("container killed"),
        FailureKind::AgentCrashed => tr!("agent crashed"),
        FailureKind::AgentExited => tr!("agent exited"),
        FailureKind::BudgetExceeded => tr!("budget exceeded"),
        FailureKind::Stuck => tr!("stuck"),
        FailureKind::LlmUnavailable => tr!("llm unavailable"),
        FailureKind::LlmError => tr!("llm error"),
        FailureKind::LlmBadOutput => tr!("llm bad output"),
        FailureKind::DiskFull => tr!("disk full"),
        FailureKind::ServerRestarted => tr!("server restarted"),
        FailureKind::ForgeLogin => tr!("forge login"),
        FailureKind::ForgeRefused => tr!("forge refused"),
        FailureKind::ForgeUnavailable => tr!("forge unavailable"),
        FailureKind::BranchTaken => tr!("branch taken"),
        FailureKind::HoldsSecret => tr!("holds secret"),
        FailureKind::ResultGone => tr!("result gone"),
        FailureKind::Internal => tr!("internal"),
    }
}

/// What it means, for readers of another language: the message beside it is English.
pub(super) fn meaning(kind: FailureKind) -> Option<&'static str> {
    if language::current() == Language::English {
        return None;
    }
    Some(match kind {
        FailureKind::CloneFailed => {
            tr!("The repository could not be fetched. Look at its address, the ref and the access.")
        }
        FailureKind::CloneTimeout => tr!("Fetching the repository took too long."),
        FailureKind::AddressNotAllowed => tr!("The server must not talk to the address that the host stands for."),
        FailureKind::RedirectRefused => {
            tr!("The server of the repository sends elsewhere; give the address it leads to.")
        }
        FailureKind::TooLarge => tr!("The source is larger than the server takes."),
        FailureKind::ZipInvalid => tr!("The archive could not be unpacked."),
        FailureKind::SetupFailed => tr!("setup.sh ended with an error; setup.log says which."),
        FailureKind::SetupTimeout => tr!("setup.sh took too long."),
        FailureKind::NoOutput => tr!("Nothing was written for longer than allowed."),
        FailureKind::DockerUnavailable => tr!("Docker does not answer."),
        FailureKind::DockerRestart => tr!("Docker was stopped while the task ran. Run it again."),
        FailureKind::ImageMissing => tr!("The image is not on the machine."),
        FailureKind::NetworkNotCut => tr!("The network could not be proven cut, so the agent was not started."),
        FailureKind::Timeout => tr!("The task took longer than allowed."),
        FailureKind::Oom => tr!("The memory of the container was used up."),
        FailureKind::DiskLimit => tr!("The task wrote more than it may have on the disk."),
        FailureKind::ContainerKilled => tr!("Something ended the container from outside."),
        FailureKind::AgentCrashed => tr!("The agent ended with an error; agent.log says which."),
        FailureKind::AgentExited => tr!("The agent ended without finishing the task."),
        FailureKind::BudgetExceeded => tr!("A limit of steps, tokens or dollars was reached. The work so far is kept."),
        FailureKind::Stuck => tr!("The model repeated itself, also after it was told."),
        FailureKind::LlmUnavailable => tr!("The model did not answer after all tries."),
        FailureKind::LlmError => tr!("The provider refused the request; asking again will not help."),
        FailureKind::LlmBadOutput => tr!("The answers of the model were none."),
        FailureKind::DiskFull => tr!("The disk of the server is full."),
        FailureKind::ServerRestarted => tr!("The server was restarted and could not go on with the task."),
        FailureKind::ForgeLogin => tr!("The forge asks for a login, or its token may not do that."),
        FailureKind::ForgeRefused => tr!("The forge did not take the branch or the pull request."),
        FailureKind::ForgeUnavailable => tr!("The forge does not answer."),
        FailureKind::BranchTaken => tr!("Somebody else's commits are on the branch of the task."),
        FailureKind::HoldsSecret => tr!("A secret of this server stands in what was to be published."),
        FailureKind::ResultGone => tr!("What was to be published is kept no longer."),
        FailureKind::Internal => tr!("The server itself failed; its log has the cause."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::failure::Failure, llm::Refusal};

    /// The texts stand in two places: here for people, below for programs and logs.
    #[test]
    fn in_english_the_words_are_those_that_programs_read() {
        let refusal = |models| Refusal {
            models,
            asked: "acme/m".parse().unwrap(),
            reason: "The key is refused; check $ACME_KEY".to_owned(),
        };
        for kind in [
            Obstacle::Starting,
            Obstacle::Docker { cause: "x".to_owned() },
            Obstacle::OldEngine { warnings: "runc is old.".to_owned() },
            Obstacle::Disk { free: 7 * MIB, reserve: 9 * MIB },
            Obstacle::DayBudget(DayLimitReached::Cost { used: 1.5, limit: 1.0 }),
            Obstacle::DayBudget(DayLimitReached::Tokens { used: 1500, limit: 1000 }),
            Obstacle::Provider(refusal(Models::Of { provider: "acme".to_owned() })),
            Obstacle::Provider(refusal(Models::One("acme/m".parse().unwrap()))),
            Obstacle::Memory { free: 7 * MIB, needed: 9 * MIB },
        ] {
            assert_eq!(obstacle(&kind), kind.to_string());
        }
        let files = |count: usize| (0..count).map(|n| format!("file-{n}")).collect::<Vec<_>>();
        let failed = Failure::new(FailureKind::ForgeLogin, "The token is refused.");
        for state in [
            PullRequestState::Publishing,
            PullRequestState::Opened,
            PullRequestState::NeedsConfirmation { files: files(1) },
            PullRequestState::NeedsConfirmation { files: files(3) },
            PullRequestState::Conflict { files: files(2) },
            PullRequestState::NothingToPublish,
            PullRequestState::Failed { failure: failed },
        ] {
            let known = PullRequest { state, ..PullRequest::new(&"20261120_abcdefghijkl".parse().unwrap()) };
            assert_eq!(super::pull_request(&known), known.message());
        }
        assert_eq!(failure(FailureKind::CloneTimeout), FailureKind::CloneTimeout.as_str().replace('_', " "));
        assert_eq!(meaning(FailureKind::Oom), None);
    }

    #[tokio::test]
    async fn readers_of_chinese_read_chinese() {
        let told = async || {
            let kind = FailureKind::BudgetExceeded;
            (failure(kind), meaning(kind), super::obstacle(&Obstacle::Disk { free: 7 * MIB, reserve: 9 * MIB }))
        };
        let (title, meaning, obstacle) = Language::Chinese.during(told()).await;
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        assert!(is_chinese(title) && meaning.is_some_and(is_chinese), "{title} {meaning:?}");
        assert!(is_chinese(&obstacle) && obstacle.contains('7') && obstacle.contains('9'), "{obstacle}");
    }
}
