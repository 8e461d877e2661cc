//! `tidings force-leave`

use clap::Args;

use super::Asking;
use crate::output;

/// Takes a member off that is down and will not come back.
///
/// Its instances and its node disappear at once, and no agent counts on it any more. An agent that is
/// alive and is only cut off stays: it says so itself when it is back.
#[derive(Debug, Args)]
pub(super) struct ForceLeave {
    /// The member's node name, its id, or how its id begins. Of several of one name that which is down.
    node: String,
    #[command(flatten)]
    asking: Asking,
}

impl ForceLeave {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        let path = ["v1", "agent", "force-leave", &self.node];
        api.put(&path, None).await?;
        if self.asking.json {
            return output::print_json(&serde_json::json!({ "left": self.node }));
        }
        output::print(&format!("{} is taken off the cluster\n", self.node));
        Ok(())
    }
}
