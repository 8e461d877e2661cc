//! `tidings join`

use clap::Args;

use super::Asking;
use crate::output;

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
        let api = self.asking.api()?;
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
