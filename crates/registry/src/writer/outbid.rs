//! Going above changes that were forged in the own name.

use tidings_types::Dot;

use super::Writer;
use crate::{Registry, feed::Feed};

/// Seqs beyond this are not gone above: what is left could be used up by whoever claims them.
pub const SEQ_FOLLOWED: u64 = u64::MAX >> 8;

impl Writer {
    /// Takes the dot after `seq`, up to which a peer holds changes of this run that this node never
    /// wrote ([`Rejected::ForgedDot`](crate::Rejected::ForgedDot)). Nothing else changes: the
    /// watermark moves to where it is.
    ///
    /// A replica drops nothing on its own account. But once this dot has reached it, it stands where
    /// the owner stands, with another content: that is an alarm, and it takes the owner's copy.
    ///
    /// `None` if what is staged or on its way reaches further, which does the same, or if nothing
    /// can be done in this run: the feed is at its limit of epochs, or `seq` is beyond
    /// [`SEQ_FOLLOWED`].
    pub fn outbid(&mut self, registry: &Registry, seq: u64) -> Option<Dot> {
        if seq < self.written || seq > SEQ_FOLLOWED || self.check_epochs(registry).is_err() {
            return None;
        }
        let empty = Feed::new(self.me);
        let feed = registry.feed(self.me).unwrap_or(&empty);
        let mut watermark = feed.watermark().clone();
        if let Some((_, moved)) = &self.watermark {
            watermark.join(moved);
        }
        self.written = seq;
        let dot = self.take_dot();
        self.watermark = Some((dot.seq, watermark));
        Some(dot)
    }
}
