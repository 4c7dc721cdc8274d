//! klstore's conformance suites, models and end-to-end tests.
