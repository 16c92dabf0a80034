package protocol

// Dataset is a seed set: records of one object that a bundle brings. Source:
// data/dataset.
type Dataset struct {
	Object     string           `json:"object" shape:"format=identifier" doc:"Object of the records."`
	ExternalID string           `json:"externalId" default:"name" doc:"Field that records are matched by."`
	Mode       DatasetMode      `json:"mode" default:"upsert" doc:"What happens to records that exist."`
	Env        []string         `json:"env,omitzero" default:"[\"prod\",\"dev\",\"test\"]" shape:"one=prod|dev|test" doc:"Environments it is meant for."`
	Records    []map[string]any `json:"records" doc:"The records."`
}

// DatasetMode is what happens to records that exist. Source: data/dataset.
type DatasetMode string

// The modes of a seed set.
const (
	DatasetInsert  DatasetMode = "insert"
	DatasetUpdate  DatasetMode = "update"
	DatasetUpsert  DatasetMode = "upsert"
	DatasetReplace DatasetMode = "replace"
	DatasetIgnore  DatasetMode = "ignore"
)

// Values lists the modes in the protocol's order.
func (DatasetMode) Values() []string {
	return []string{"insert", "update", "upsert", "replace", "ignore"}
}
