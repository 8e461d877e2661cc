//! Records on their way into an answer.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record},
};

/// What is known about a question, before it is cut to size.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: ResponseCode,
    /// Whether the name is in a zone of ours.
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
    /// For each answer, how many of the additional records it and those before it need.
    pub(crate) needs: Vec<usize>,
    /// Whether there would have been more answers than any packet holds.
    pub(crate) cut: bool,
    /// What is said of stale instances among the answers, if there are any.
    pub(crate) stale: Option<String>,
    /// The owners of the additional records.
    owners: BTreeSet<Name>,
}

impl Reply {
    pub(crate) const fn new(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: true,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            needs: Vec::new(),
            cut: false,
            stale: None,
            owners: BTreeSet::new(),
        }
    }

    /// No content but a code.
    pub(crate) const fn failed(code: ResponseCode) -> Self {
        let mut reply = Self::new(code);
        reply.authoritative = false;
        reply
    }

    /// Adds an answer.
    pub(crate) fn push(&mut self, answer: Record) {
        self.answers.push(answer);
        self.needs.push(self.additionals.len());
    }

    /// Adds an answer that points to `target`, and what is known of it unless another answer has
    /// brought that already.
    pub(crate) fn push_with(&mut self, answer: Record, target: &Name, known: Vec<Record>) {
        if !known.is_empty() && self.owners.insert(target.clone()) {
            self.additionals.extend(known);
        }
        self.push(answer);
    }
}

/// The A or AAAA record of `address`.
pub(crate) fn address_record(owner: Name, ttl_s: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(v4) => RData::A(v4.into()),
        IpAddr::V6(v6) => RData::AAAA(v6.into()),
    };
    Record::from_rdata(owner, ttl_s, data)
}
