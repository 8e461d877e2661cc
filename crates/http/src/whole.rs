//! Whole answers of `health/service`, kept until something in them changes.
//!
//! Nearly all clients ask for the same few services again and again. What they are answered follows from
//! the service's instances with their checks, and from how their nodes stand; while none of it has
//! changed, the bytes are those of the last answer. The view makes a new [`Service`] of whatever changes,
//! its nodes' liveness included; only what checks say without changing their status is counted apart.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
};

use arc_swap::ArcSwapOption;
use axum::body::Bytes;
use tidings_view::{Service, View};

use crate::{figures::Count, reply::Marks};

/// Answers that are kept. With [`BYTES_MAX`] this bounds the memory that they take.
const ANSWERS: usize = 1_024;
/// Bytes of an answer that is kept; a longer one costs much more to send than to put together.
const BYTES_MAX: usize = 32 << 10;

/// Instances of an answer that may be short enough.
const INSTANCES_MAX: usize = BYTES_MAX / 512;

/// What an answer follows from. Read before the answer is made: what changes in between is met again.
#[derive(Debug)]
pub(crate) struct Basis {
    service: Arc<Service>,
    /// What checks said without changing their status.
    said: u64,
    /// Whether only passing instances are wanted.
    passing: bool,
}

impl Basis {
    /// Of what is said now of the service called `name`; `None` if there is none, or if it has so many
    /// instances that its answer is too long to be kept.
    pub(crate) fn of(view: &View, name: &str, passing: bool) -> Option<Self> {
        let service = view.service(name)?;
        if service.instances.len() > INSTANCES_MAX {
            return None;
        }
        let said = service.times_said();
        Some(Self {
            service,
            said,
            passing,
        })
    }
}

/// An answer as it was sent.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) body: Bytes,
    pub(crate) marks: Marks,
    /// Tells whether there is the same service still; its instances are not kept by it.
    service: Weak<Service>,
    said: u64,
    passing: bool,
}

impl Whole {
    fn is_of(&self, basis: &Basis) -> bool {
        // While it is here nothing else comes to stand at the same address.
        Weak::as_ptr(&self.service) == Arc::as_ptr(&basis.service)
            && (self.said, self.passing) == (basis.said, basis.passing)
    }
}

/// The answers that are kept. Each has one place where it can be, and the next one that belongs there
/// takes it: a place that is lost costs one answer to be made again.
#[derive(Debug)]
pub(crate) struct WholeAnswers {
    places: Box<[ArcSwapOption<Whole>]>,
    random: RandomState,
    reused: Count,
}

impl WholeAnswers {
    /// The answer that was made on this basis, if it is still here.
    pub(crate) fn get(&self, basis: &Basis) -> Option<Arc<Whole>> {
        let kept = self.place(basis).load();
        let whole = kept.as_ref().filter(|whole| whole.is_of(basis))?;
        self.reused.add();
        Some(Arc::clone(whole))
    }

    /// Keeps the answer that was made on this basis, if it is not too long.
    pub(crate) fn keep(&self, basis: &Basis, body: &Bytes, marks: Marks) {
        if body.len() > BYTES_MAX {
            return;
        }
        self.place(basis).store(Some(Arc::new(Whole {
            body: body.clone(),
            marks,
            service: Arc::downgrade(&basis.service),
            said: basis.said,
            passing: basis.passing,
        })));
    }

    /// Answers that did not have to be made.
    pub(crate) fn reused(&self) -> u64 {
        self.reused.get()
    }

    fn place(&self, basis: &Basis) -> &ArcSwapOption<Whole> {
        let at = (Arc::as_ptr(&basis.service), basis.passing);
        let hash = self.random.hash_one(at);
        let places = u64::try_from(self.places.len()).expect("few");
        let nth = usize::try_from(hash % places).expect("below their number");
        &self.places[nth]
    }
}

impl Default for WholeAnswers {
    fn default() -> Self {
        Self {
            places: (0..ANSWERS).map(|_| ArcSwapOption::empty()).collect(),
            random: RandomState::new(),
            reused: Count::default(),
        }
    }
}
