//! Where results go.

use tidings_types::{CheckId, CheckStatus, Command, Refusal, ServiceId};
use tidings_view::Commands;

/// Takes what the checks find. Implemented for the command handle of the node.
///
/// A refused call changed nothing and is made again after a second or with the check's next run.
pub trait Sink: Send + Sync + 'static {
    /// The check `id` found `status` and said `output`; one of them is news.
    fn report(
        &self,
        id: CheckId,
        status: CheckStatus,
        output: String,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// A check of the instance `id` has been critical for as long as it may.
    fn deregister(&self, id: ServiceId) -> impl Future<Output = Result<(), Refusal>> + Send;
}

impl Sink for Commands {
    async fn report(
        &self,
        id: CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<(), Refusal> {
        let report = Command::UpdateCheck { id, status, output };
        match self.send(report).await {
            // The check is gone: its removal is on the way here, and nobody misses the result.
            Ok(_) | Err(Refusal::UnknownCheck { .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn deregister(&self, id: ServiceId) -> Result<(), Refusal> {
        match self.send(Command::DeregisterService { id }).await {
            Ok(_) | Err(Refusal::UnknownService { .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_types::Outcome;
    use tidings_view::commands;

    use super::*;

    #[tokio::test]
    async fn results_become_commands_and_a_vanished_check_is_no_refusal() {
        let id = CheckId::new("alive").unwrap();
        let (sink, mut node) = commands(4);
        let answers = [
            Ok(Outcome::of(true)),
            Err(Refusal::UnknownCheck { id: id.clone() }),
            Err(Refusal::Busy),
        ];
        let expected = [Ok(()), Ok(()), Err(Refusal::Busy)];
        for (answer, expected) in answers.into_iter().zip(expected) {
            let report = sink.report(id.clone(), CheckStatus::Warning, "hm".to_owned());
            let reply = async {
                let request = node.recv().await.unwrap();
                let sent = Command::UpdateCheck {
                    id: id.clone(),
                    status: CheckStatus::Warning,
                    output: "hm".to_owned(),
                };
                assert_eq!(request.command, sent);
                request.reply.send(answer);
            };
            let (got, ()) = tokio::join!(report, reply);
            assert_eq!(got, expected);
        }
    }
}
