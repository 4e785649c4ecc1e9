package scim

import (
	elimity "github.com/elimity-com/scim/schema"

	"github.com/elimity-com/scim/optional"
)

// URNLifecycle is our extension of User: what a joiner-mover-leaver process needs to know and RFC 7643 has no place for.
const URNLifecycle = "urn:ietf:params:scim:schemas:extension:jmld:2.0:User"

func lifecycleExtension() elimity.Schema {
	text := func(name, description string, values ...string) elimity.SimpleParams {
		return elimity.SimpleStringParams(elimity.StringParams{
			Name: name, Description: optional.NewString(description), CanonicalValues: values,
		})
	}
	date := func(name, description string) elimity.SimpleParams {
		return elimity.SimpleDateTimeParams(elimity.DateTimeParams{Name: name, Description: optional.NewString(description)})
	}
	return elimity.Schema{
		ID:          URNLifecycle,
		Name:        optional.NewString("Lifecycle User"),
		Description: optional.NewString("Dates and responsibilities of a person's time with the organisation."),
		Attributes: []elimity.CoreAttribute{
			elimity.SimpleCoreAttribute(date("startDate", "When the person joins. A date or a date and time.")),
			elimity.SimpleCoreAttribute(date("endDate", "When the person leaves. A date or a date and time.")),
			elimity.SimpleCoreAttribute(text("workerType", "How the person is engaged.",
				"employee", "contractor", "partner", "customer", "service")),
			elimity.SimpleCoreAttribute(text("sponsor", "Who answers for an external person: a userName, an e-mail address or an id.")),
			elimity.SimpleCoreAttribute(text("certification", "The highest level of certification the person holds.")),
		},
	}
}
