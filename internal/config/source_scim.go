package config

// SCIMBasic is a client with a user name and a password.
type SCIMBasic struct {
	User     string `yaml:"user,required"`
	Password Secret `yaml:"password,required"`
}

// SCIMOAuth is a client that gets access tokens at /scim/NAME/oauth/token.
type SCIMOAuth struct {
	ClientID string   `yaml:"client_id,required"`
	Secret   Secret   `yaml:"client_secret,required"`
	Lifetime Duration `yaml:"lifetime" default:"1h"`
}

// SCIMJWT is a client with tokens that its identity provider signs.
type SCIMJWT struct {
	Issuer   string `yaml:"issuer,required"`
	Audience string `yaml:"audience,required"`
	Subject  string `yaml:"subject,required"`
	JWKS     JWKS   `yaml:"jwks,required"`
	Bearer   bool   `yaml:"bearer"` // they are taken in place of tokens of ours
}

// JWKS is where an issuer's keys are: exactly one of URL and File.
type JWKS struct {
	URL    string `yaml:"url"`
	CAFile Path   `yaml:"ca_file"`
	File   Path   `yaml:"file"`
}

// SCIMMTLS is a client with a certificate. What is set has to be equal.
type SCIMMTLS struct {
	Subject      string   `yaml:"subject"`
	SAN          string   `yaml:"san"`
	Fingerprints []string `yaml:"fingerprints"`
}

// SCIMLimits are of one client of the source in one daemon, and of one request.
type SCIMLimits struct {
	Requests   Rate `yaml:"requests" default:"500/s"`
	Burst      int  `yaml:"burst" default:"1000" range:"1 1000000"`
	Concurrent int  `yaml:"concurrent" default:"64" range:"0 100000"`

	URL             Size `yaml:"url" default:"8KiB"`
	Depth           int  `yaml:"depth" default:"40" range:"10 500"` // of JSON
	Values          int  `yaml:"values" default:"1000" range:"10 100000"`
	Filter          Size `yaml:"filter" default:"4KiB"`
	FilterDepth     int  `yaml:"filter_depth" default:"32" range:"4 100"`
	FilterTerms     int  `yaml:"filter_terms" default:"100" range:"4 500"`
	BulkOperations  int  `yaml:"bulk_operations" default:"1000" range:"1 100000"`
	PatchOperations int  `yaml:"patch_operations" default:"1000" range:"10 100000"`
	PageSize        int  `yaml:"page_size" default:"100" range:"1 10000"`
	MaxPageSize     int  `yaml:"max_page_size" default:"1000" range:"1 10000"`
	Scan            int  `yaml:"scan" default:"50000" range:"1000 10000000"`
}
