//! `tidings leave`

use clap::Args;

use super::Asking;
use crate::output;

/// Has a running agent leave its cluster for good and stop.
///
/// Its instances disappear from the other agents' answers at once; `tidings drain` gives clients time
/// to go elsewhere first. To restart an agent, end it
/// with SIGTERM under `--leave-on-terminate false` instead.
#[derive(Debug, Args)]
pub(super) struct Leave {
    #[command(flatten)]
    asking: Asking,
}

impl Leave {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        api.put(&["v1", "agent", "leave"], None).await?;
        if self.asking.json {
            return output::print_json(&serde_json::json!({ "left": true }));
        }
        output::print("the agent has left the cluster and stops\n");
        Ok(())
    }
}
