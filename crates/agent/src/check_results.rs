//! What checks find, on its way to the node.

use tidings_checks::Sink;
use tidings_types::{CheckId, CheckStatus, Command, Refusal, ServiceId};
use tidings_view::Commands;

/// Turns results of checks into commands.
#[derive(Clone, Debug)]
pub(crate) struct CheckResults(pub(crate) Commands);

impl Sink for CheckResults {
    async fn report(
        &self,
        id: CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<(), Refusal> {
        let command = Command::UpdateCheck { id, status, output };
        self.0.send(command).await.map(drop)
    }

    async fn deregister(&self, id: ServiceId) -> Result<(), Refusal> {
        let command = Command::DeregisterService { id };
        self.0.send(command).await.map(drop)
    }
}
