//! A configuration to begin with.

/// Every key with what it is for.
pub const SAMPLE: &str = r#"# Users are looked up in a directory when this is true, and no longer here.
enabled = true

# Servers are asked in order until one knows the user.
[[servers]]
  host = "ldap.example.com"
  port = 389

  # starttls, starttls+insecure, ldaps, ldaps+insecure or none. "insecure" takes any certificate; "none" sends passwords in
  # plain text.
  security = "starttls"

  # Shown to the server. A certificate alone is a bundle with its key.
  # client-tls-certificate = "/etc/ssl/influxdb-ldap.pem"
  # client-tls-private-key = "/etc/ssl/influxdb-ldap-key.pem"

  # The account that searches.
  bind-dn = "cn=read-only,dc=example,dc=com"
  bind-password = "change me"

  # Where users are, and how one is found: %s is what they call themselves.
  search-base-dns = ["ou=people,dc=example,dc=com"]
  search-filter = "(uid=%s)"

  # Where groups are, how those of a user are found (%s is the entry of the user), and what they are called.
  group-search-base-dns = ["ou=groups,dc=example,dc=com"]
  group-membership-search-filter = "(&(objectClass=groupOfUniqueNames)(uniqueMember=%s))"
  group-attribute = "ou"

  # How a group is found by its name (%s), and who its members are.
  group-search-filter = "(&(objectClass=groupOfUniqueNames)(ou=%s))"
  group-member-attribute = "uniqueMember"

  # Members of these groups administer the cluster.
  admin-groups = ["influx-admins"]

  # Members of a group have a role, which must exist.
  [[servers.group-mappings]]
    group = "influx-readers"
    role = "readers"
"#;
