//! `tidings join`

use std::time::Duration;

use clap::Args;

use super::Asking;
use crate::output;

/// The agent gives up an address after seconds, and a name may stand for several.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Has a running agent join the cluster of another.
///
/// It fails if no agent of the same cluster answers there. To have the address tried at each start, give
/// it to the agent's --join.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// The other agent's gossip address.
    #[arg(value_name = "HOST:PORT")]
    addr: String,
    #[command(flatten)]
    asking: Asking,
}

impl Join {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?.patient(ANSWER_WITHIN);
        api.put(&["v1", "agent", "join", &self.addr], None).await?;
        if self.asking.json {
            return output::print_json(&serde_json::json!({ "joined": self.addr }));
        }
        output::print(&format!(
            "an agent of this cluster answers at {}; see `tidings members`\n",
            self.addr
        ));
        Ok(())
    }
}
