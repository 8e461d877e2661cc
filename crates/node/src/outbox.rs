//! What waits for the driver.
//!
//! Of what readers are to be shown only the keys wait: what stands under them is looked up when the
//! driver takes it. A feed of ten thousand records would otherwise wait here a second time.

use std::collections::{BTreeSet, VecDeque, btree_set};

use tidings_types::Key;

use crate::Output;

/// Outputs in their order.
#[derive(Debug, Default)]
pub(crate) struct Outbox(VecDeque<Waiting>);

#[derive(Debug)]
enum Waiting {
    Output(Output),
    Shown(btree_set::IntoIter<Key>),
}

/// What is next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This output.
    Output(Output),
    /// To show the value in force of this key.
    Show(Key),
}

impl Outbox {
    pub(crate) fn push_back(&mut self, output: Output) {
        self.0.push_back(Waiting::Output(output));
    }

    /// Has the values in force of these keys shown, in the keys' order.
    pub(crate) fn show(&mut self, keys: BTreeSet<Key>) {
        self.0.push_back(Waiting::Shown(keys.into_iter()));
    }

    pub(crate) fn pop_front(&mut self) -> Option<Next> {
        loop {
            if let Waiting::Shown(keys) = self.0.front_mut()?
                && let Some(key) = keys.next()
            {
                return Some(Next::Show(key));
            }
            if let Waiting::Output(output) = self.0.pop_front()? {
                return Some(Next::Output(output));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
