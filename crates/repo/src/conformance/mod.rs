//! The suite that every repository passes: one test for each clause of [`Repo`]'s documentation.
//!
//! `tidelock_repo::conformance_tests!(Fixture::new(…))` in a test file makes them all; the expression gives an empty
//! repository each time.

#![allow(clippy::unwrap_used, reason = "a clause that does not hold is a panic")]

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use crate::Repo;

#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod batches;
pub mod build;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod foci;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod inbox;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod objects;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod shadows;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod tasks;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod tokens;
#[allow(missing_docs, reason = "the name of a clause is its text")]
pub mod triggers;

/// An empty repository, and what it needs to live.
pub struct Fixture {
    repo: Arc<dyn Repo>,
    kept: Vec<Box<dyn Any>>,
}

impl Fixture {
    /// A repository that needs nothing else.
    pub fn new(repo: impl Repo + 'static) -> Self {
        Self { repo: Arc::new(repo), kept: Vec::new() }
    }

    /// The same with something that is dropped after the test, such as a folder.
    #[must_use]
    pub fn keeping(mut self, thing: impl Any) -> Self {
        self.kept.push(Box::new(thing));
        self
    }
}

/// Runs one clause.
///
/// # Panics
/// Where the clause does not hold.
pub fn check<F: Future<Output = ()>>(fixture: Fixture, clause: impl FnOnce(Arc<dyn Repo>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(clause(fixture.repo));
    drop(runtime);
    drop(fixture.kept);
}

/// Makes a test of every clause. The expression gives a [`Fixture`] and is evaluated for each.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::conformance_tests! { @ $fixture;
            objects: applying_says_what_became_of_each_in_order applying_the_same_again_is_unchanged
                an_object_without_an_oid_is_known_by_type_and_name an_object_with_an_oid_can_be_renamed
                names_can_change_hands_in_one_application a_name_that_is_taken_is_a_duplicate_and_nothing_is_stored
                the_same_object_twice_is_a_duplicate an_oid_of_another_type_is_a_duplicate
                an_object_is_found_by_oid_and_by_name_within_its_type a_new_origin_is_kept_and_is_no_change
                objects_come_in_the_order_of_their_creation an_applied_focus_replaces_the_content_and_its_version_grows
                an_applied_focus_keeps_its_shadows_which_lose_their_fingerprints
                an_applied_focus_is_found_by_its_indexed_items an_updated_definition_leaves_fingerprints_alone;
            foci: a_focus_comes_back_as_it_was_stored foci_come_page_by_page_in_the_order_of_their_creation
                finding_needs_a_declared_item found_foci_come_in_the_order_asked_and_no_more_than_wanted
                foci_from_before_the_declaration_are_found values_count_as_the_same_by_the_rule
                every_value_of_an_item_in_every_container_is_found a_changed_focus_is_found_by_its_new_values_only
                a_deleted_focus_is_not_found an_item_is_indexed_for_its_focus_type_alone
                a_value_that_many_have_hides_no_other;
            shadows: a_shadow_comes_back_as_it_was_stored a_look_up_answers_in_the_order_asked
                a_look_up_keeps_resources_and_classes_apart a_look_up_passes_over_the_dead
                loading_answers_in_the_order_asked_with_owners projections_are_the_living_shadows_of_each_focus
                shadows_are_listed_by_filter_and_page_by_page shadows_are_counted_by_filter
                of_shadows_of_one_name_the_youngest_living_one_is_meant what_remains_is_what_was_not_met
                what_remains_comes_page_by_page_with_owners results_of_several_shadows_come_in_the_order_asked
                results_are_found_by_task_status_and_time
                a_superseded_result_is_not_found what_remains_can_be_narrowed_by_results;
            batches: a_batch_is_stored_whole_or_not_at_all a_stale_version_is_a_conflict_and_changes_nothing
                an_expectation_that_fails_is_a_conflict a_focus_is_stored_with_the_version_it_names
                a_version_that_does_not_grow_is_refused a_taken_name_of_a_focus_is_a_duplicate
                a_name_given_up_earlier_in_the_batch_is_free a_taken_oid_is_a_duplicate
                a_taken_identifier_is_a_duplicate the_dead_do_not_hold_their_identifier
                a_changed_focus_makes_its_shadows_be_looked_at a_deleted_focus_leaves_its_shadows
                a_handle_of_a_deleted_focus_never_means_another an_owner_that_has_gone_is_a_conflict
                link_and_fingerprint_are_what_the_batch_says a_failure_makes_its_shadow_be_looked_at a_shadow_that_never_was_is_a_conflict
                seen_marks_set_what_they_say the_last_of_several_marks_counts
                results_are_kept_newest_first_five_of_a_shadow_three_of_a_task
                a_reference_to_nothing_in_the_batch_is_refused changes_take_effect_in_order
                concurrent_batches_are_all_stored;
            tokens: a_token_comes_back_as_it_was_stored tokens_come_newest_first_five_of_an_object_set
                a_run_leaves_one_token_behind a_token_that_equals_the_newest_changes_nothing a_reset_takes_all_tokens_of_its_object_set_and_no_others
                the_tokens_of_a_resource_are_those_of_all_its_object_sets
                an_object_set_is_known_by_its_token_and_when_it_was_reset;
            inbox: marks_come_newest_first a_later_mark_of_a_message_supersedes_those_before_it
                messages_are_told_apart_by_resource_and_by_their_whole_text
                the_last_marks_of_a_resource_are_kept_and_older_ones_forgotten;
            triggers: a_trigger_comes_back_as_it_was_stored triggers_are_of_their_shadows
                due_triggers_come_page_by_page_in_the_order_of_their_keys triggers_are_gone_through_while_they_go
                a_trigger_takes_the_place_of_that_of_its_task_and_activity a_trigger_is_removed_by_its_key
                triggers_change_in_the_order_of_the_batch a_trigger_for_a_shadow_that_is_not_there_is_refused
                a_trigger_stays_with_a_shadow_that_dies;
            tasks: the_state_of_a_task_is_the_last_one_stored runs_are_numbered_upwards one_run_at_a_time
                a_copy_has_everything_and_shares_nothing a_copy_has_its_own_right_to_run;
        }
    };
    (@ $fixture:expr; $($subject:ident: $($clause:ident)+;)+) => {
        $($(
            #[test]
            fn $clause() {
                $crate::conformance::check($fixture, $crate::conformance::$subject::$clause);
            }
        )+)+
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_clause_is_in_the_macro() {
        let list = include_str!("mod.rs");
        let subjects = [
            include_str!("objects.rs"),
            include_str!("foci.rs"),
            include_str!("shadows.rs"),
            include_str!("batches.rs"),
            include_str!("tokens.rs"),
            include_str!("inbox.rs"),
            include_str!("triggers.rs"),
            include_str!("tasks.rs"),
        ];
        for line in subjects.iter().flat_map(|subject| subject.lines()) {
            let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
            let clause = rest.split('(').next().unwrap();
            assert!(list.split_whitespace().any(|word| word.trim_end_matches(';') == clause), "{clause} is not run");
        }
    }
}
