//! `keyspace.json`: what is read of it is of the keyspace that was asked for, and comes back.

use klstore_format::names::KeyspaceName;
use klstore_format::wire::keyspace::KeyspaceObject;

/// The target: the input is the object of the keyspace `flights`.
pub fn run(data: &[u8]) {
    let keyspace = KeyspaceName::new("flights").unwrap();
    let Ok(read) = KeyspaceObject::decode(data, &keyspace, "flights/keyspace.json") else { return };
    assert_eq!((read.keyspace.as_str(), read.format_version), ("flights", 1));
    let another = KeyspaceName::new("Flights").unwrap();
    assert!(KeyspaceObject::decode(data, &another, "Flights/keyspace.json").is_err(), "another keyspace's was taken");
    let again = KeyspaceObject::encode(&keyspace, read.created_timestamp, 7);
    assert_eq!(KeyspaceObject::decode(&again, &keyspace, "flights/keyspace.json"), Ok(read));
}
