//! Which file defines what is registered.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidings_http::{Defined, ServiceDefinition};
use tidings_types::{CheckId, ServiceId};

use super::files::shown;

/// The files of what the node took. Cheap to clone, all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    services: BTreeMap<ServiceId, PathBuf>,
    /// Of each check the service that defines it, unless it stands alone.
    checks: BTreeMap<CheckId, (PathBuf, Option<ServiceId>)>,
}

impl Sources {
    /// The file that defines this, if one does.
    pub(super) fn of(&self, what: Defined<'_>) -> Option<String> {
        let files = self.files();
        let file = match what {
            Defined::Service(id) => files.services.get(id),
            Defined::Check(id) => files.checks.get(id).map(|(file, _)| file),
        };
        file.map(|file| shown(file))
    }

    pub(super) fn set_service(&self, service: &ServiceDefinition, file: &Path) {
        let mut files = self.files();
        let id = &service.id;
        files.forget_checks_of(id);
        files.services.insert(id.clone(), file.to_owned());
        let checks = service.checks.iter();
        let checks = checks.map(|(check, _)| (check.clone(), (file.to_owned(), Some(id.clone()))));
        files.checks.extend(checks);
    }

    pub(super) fn set_check(&self, id: &CheckId, file: &Path) {
        let mut files = self.files();
        files.checks.insert(id.clone(), (file.to_owned(), None));
    }

    pub(super) fn forget_service(&self, id: &ServiceId) {
        let mut files = self.files();
        files.forget_checks_of(id);
        files.services.remove(id);
    }

    pub(super) fn forget_check(&self, id: &CheckId) {
        self.files().checks.remove(id);
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn forget_checks_of(&mut self, service: &ServiceId) {
        let is_others = |of: &Option<ServiceId>| of.as_ref() != Some(service);
        self.checks.retain(|_, (_, of)| is_others(of));
    }
}
