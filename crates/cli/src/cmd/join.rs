//! `tidings join`

use clap::Args;

use super::Asking;
use crate::output;

/// Has a running agent join the cluster of another.
///
/// The agent tries the address once more than its own seeds; whether it found somebody shows in
/// `tidings members`. To have it tried at each start, give it to the agent's --join.
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
            return output::print_json(&serde_json::json!({ "asked": self.addr }));
        }
        output::print(&format!(
            "asked {} to join; see `tidings members`\n",
            self.addr
        ));
        Ok(())
    }
}
