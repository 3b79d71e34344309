//! Clauses on the schema and the facets.

use std::collections::HashSet;

use super::{Fixture, Outcome, ensure};

/// There is at least one class; each has a primary identifier and a naming attribute among its attributes.
pub(super) async fn the_schema_has_a_class_and_every_class_its_identifier(fixture: &Fixture) -> Outcome {
    let schema = fixture.connector().schema().await?;
    ensure!(schema.classes.iter().any(|class| !class.auxiliary), "the schema has no class");
    for class in schema.classes.iter().filter(|class| !class.auxiliary) {
        for (what, name) in [("primary identifier", &class.primary_identifier), ("naming attribute", &class.naming_attribute)] {
            ensure!(class.attribute(name).is_some(), "the {what} '{name}' is not among the attributes of '{}'", class.name);
        }
    }
    Ok(())
}

/// No two classes, and no two attributes of a class, have the same name; none has an empty one.
pub(super) async fn names_in_the_schema_are_unique(fixture: &Fixture) -> Outcome {
    let schema = fixture.connector().schema().await?;
    let mut classes = HashSet::new();
    for class in &schema.classes {
        ensure!(!class.name.is_empty(), "a class has no name");
        ensure!(classes.insert(&class.name), "two classes are called '{}'", class.name);
        let mut attributes = HashSet::new();
        for attribute in &class.attributes {
            ensure!(!attribute.name.is_empty(), "an attribute of '{}' has no name", class.name);
            ensure!(attributes.insert(&attribute.name), "two attributes of '{}' are called '{}'", class.name, attribute.name);
        }
    }
    Ok(())
}

/// Two calls on an unchanged resource agree.
pub(super) async fn the_schema_says_the_same_twice(fixture: &Fixture) -> Outcome {
    let (first, second) = (fixture.connector().schema().await?, fixture.connector().schema().await?);
    ensure!(first == second, "two readings of the schema differ");
    Ok(())
}

/// The test of a resource that can be reached succeeds.
pub(super) async fn a_test_of_a_working_resource_succeeds(fixture: &Fixture) -> Outcome {
    Ok(fixture.connector().test().await?)
}

/// A facet is offered if, and only if, the fixture declares it: losing one is noticed.
pub(super) async fn the_facets_are_those_declared(fixture: &Fixture) -> Outcome {
    fixture.live_sync()?;
    fixture.async_updates()?;
    fixture.provision().map(drop)
}
