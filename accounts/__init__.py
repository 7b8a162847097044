"""People, tenants, roles and the one door to a tenant's rows."""
