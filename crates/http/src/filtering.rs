//! `?filter`: what a client wants to see of what was found.

use tidings_filter::{Filter, Record, Shape};

use crate::{failure::Failure, request::Params};

/// The filter of a request; without one everything is taken.
#[derive(Debug)]
pub(crate) struct Filtering(Option<Filter>);

impl Filtering {
    /// Reads the filter of `params`, which selects from records of `shape`.
    pub(crate) fn of(params: &Params, shape: Shape) -> Result<Self, Failure> {
        let text = params.get("filter").filter(|text| !text.is_empty());
        let filter = text.map(|text| Filter::new(text, shape)).transpose();
        filter.map(Self).map_err(|error| {
            Failure::semantic(format_args!(
                "Failed to create boolean expression evaluator: {error}"
            ))
        })
    }

    /// Whether there is no filter.
    pub(crate) const fn takes_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether what `record` makes is taken. It is made only if there is a filter.
    pub(crate) fn takes<R: Record>(&self, record: impl FnOnce() -> R) -> bool {
        self.0.as_ref().is_none_or(|filter| filter.takes(&record()))
    }

    /// As [`Filtering::takes`] for a record that is there.
    pub(crate) fn takes_it(&self, record: &impl Record) -> bool {
        self.0.as_ref().is_none_or(|filter| filter.takes(record))
    }
}
