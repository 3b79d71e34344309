//! The clauses, on the repository in memory.

use tidelock_repo::Memory;
use tidelock_repo::conformance::Fixture;

tidelock_repo::conformance_tests!(Fixture::new(Memory::new()));
