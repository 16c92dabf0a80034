package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// CurrencyConfig is the settings of a currency field. Source: data/field.
type CurrencyConfig struct {
	Precision       int64        `json:"precision" default:"2" shape:"min=0,max=10" doc:"Digits after the point."`
	CurrencyMode    CurrencyMode `json:"currencyMode" default:"dynamic" doc:"Who chooses the currency."`
	DefaultCurrency string       `json:"defaultCurrency" default:"CNY" shape:"len=3" doc:"Currency code of three characters."`
}

// CurrencyMode says who chooses the currency of a value.
type CurrencyMode string

// Values lists the modes in the protocol's order.
func (CurrencyMode) Values() []string { return []string{"dynamic", "fixed"} }

// VectorConfig is the settings of a vector field. Source: data/field.
type VectorConfig struct {
	Dimensions     int64          `json:"dimensions" shape:"min=1,max=10000" doc:"Numbers in one vector."`
	DistanceMetric DistanceMetric `json:"distanceMetric" default:"cosine" doc:"How distance is measured."`
	Normalized     bool           `json:"normalized" default:"false" doc:"Vectors have length one."`
	Indexed        bool           `json:"indexed" default:"true" doc:"Build an index for searches."`
	IndexType      VectorIndex    `json:"indexType,omitempty" doc:"Kind of that index."`
}

// DistanceMetric is how the distance of two vectors is measured.
type DistanceMetric string

// Values lists the metrics in the protocol's order.
func (DistanceMetric) Values() []string {
	return []string{"cosine", "euclidean", "dotProduct", "manhattan"}
}

// VectorIndex is the kind of a vector index.
type VectorIndex string

// Values lists the kinds in the protocol's order.
func (VectorIndex) Values() []string { return []string{"hnsw", "ivfflat", "flat"} }

// FileAttachmentConfig is the settings of a file field. Source: data/field.
type FileAttachmentConfig struct {
	MinSize            *float64         `json:"minSize,omitempty" shape:"min=0" doc:"Smallest file in bytes."`
	MaxSize            *float64         `json:"maxSize,omitempty" shape:"min=1" doc:"Largest file in bytes."`
	AllowedTypes       []string         `json:"allowedTypes,omitzero" doc:"File name extensions let in."`
	BlockedTypes       []string         `json:"blockedTypes,omitzero" doc:"File name extensions kept out."`
	AllowedMimeTypes   []string         `json:"allowedMimeTypes,omitzero" doc:"MIME types let in."`
	BlockedMimeTypes   []string         `json:"blockedMimeTypes,omitzero" doc:"MIME types kept out."`
	VirusScan          bool             `json:"virusScan" default:"false" doc:"Scan files for viruses."`
	VirusScanProvider  VirusScanner     `json:"virusScanProvider,omitempty" doc:"Who scans; needs virusScan."`
	VirusScanOnUpload  bool             `json:"virusScanOnUpload" default:"true" doc:"Scan at once."`
	QuarantineOnThreat bool             `json:"quarantineOnThreat" default:"true" doc:"Set infected files aside."`
	StorageProvider    string           `json:"storageProvider,omitempty" doc:"Object storage that holds the files."`
	StorageBucket      string           `json:"storageBucket,omitempty" doc:"Bucket that holds the files."`
	StoragePrefix      string           `json:"storagePrefix,omitempty" doc:"Prefix of their keys."`
	ImageValidation    *ImageValidation `json:"imageValidation,omitempty" doc:"Rules for images."`
	AllowMultiple      bool             `json:"allowMultiple" default:"false" doc:"Take several files."`
	AllowReplace       bool             `json:"allowReplace" default:"true" doc:"Files can be replaced."`
	AllowDelete        bool             `json:"allowDelete" default:"true" doc:"Files can be deleted."`
	RequireUpload      bool             `json:"requireUpload" default:"false" doc:"A required field needs a file."`
	ExtractMetadata    bool             `json:"extractMetadata" default:"true" doc:"Read metadata of files."`
	ExtractText        bool             `json:"extractText" default:"false" doc:"Read text of files."`
	VersioningEnabled  bool             `json:"versioningEnabled" default:"false" doc:"Keep replaced files."`
	MaxVersions        *float64         `json:"maxVersions,omitempty" shape:"min=1" doc:"How many are kept."`
	PublicRead         bool             `json:"publicRead" default:"false" doc:"Anyone may read the files."`
	PresignedURLExpiry float64          `json:"presignedUrlExpiry" default:"3600" shape:"min=60,max=604800" doc:"Seconds that a signed URL holds."`
}

// Refine checks that the sizes make a range and that a scanner has a scan to
// do. Sources: the two refinements of the schema in data/field.
func (c FileAttachmentConfig) Refine(report shape.Reporter) {
	if c.MinSize != nil && c.MaxSize != nil && *c.MinSize > *c.MaxSize {
		report("minSize must not be above maxSize")
	}
	if c.VirusScanProvider != "" && !c.VirusScan {
		report("virusScanProvider needs virusScan: true")
	}
}

// VirusScanner is a service that scans files.
type VirusScanner string

// Values lists the scanners in the protocol's order.
func (VirusScanner) Values() []string {
	return []string{"clamav", "virustotal", "metadefender", "custom"}
}

// ImageValidation is the rules for images of a file field. Source: data/field.
type ImageValidation struct {
	MinWidth           *float64        `json:"minWidth,omitempty" shape:"min=1" doc:"Smallest width in pixels."`
	MaxWidth           *float64        `json:"maxWidth,omitempty" shape:"min=1" doc:"Largest width in pixels."`
	MinHeight          *float64        `json:"minHeight,omitempty" shape:"min=1" doc:"Smallest height in pixels."`
	MaxHeight          *float64        `json:"maxHeight,omitempty" shape:"min=1" doc:"Largest height in pixels."`
	AspectRatio        string          `json:"aspectRatio,omitempty" doc:"Ratio that is required, such as 16:9."`
	GenerateThumbnails bool            `json:"generateThumbnails" default:"false" doc:"Make thumbnails."`
	ThumbnailSizes     []ThumbnailSize `json:"thumbnailSizes,omitzero" doc:"Sizes of the thumbnails."`
	PreserveMetadata   bool            `json:"preserveMetadata" default:"false" doc:"Keep EXIF metadata."`
	AutoRotate         bool            `json:"autoRotate" default:"true" doc:"Turn images as EXIF says."`
}

// ThumbnailSize is the size of one thumbnail.
type ThumbnailSize struct {
	Name   string  `json:"name" doc:"Name of the size."`
	Width  float64 `json:"width" shape:"min=1" doc:"Width in pixels."`
	Height float64 `json:"height" shape:"min=1" doc:"Height in pixels."`
	Crop   bool    `json:"crop" default:"false" doc:"Crop to exactly this size."`
}

// EncryptionConfig is how the values of a field are encrypted. Source:
// system/encryption.
type EncryptionConfig struct {
	Enabled                 bool            `json:"enabled" default:"false" doc:"Encrypt the values."`
	Algorithm               Cipher          `json:"algorithm" default:"aes-256-gcm" doc:"With this algorithm."`
	KeyManagement           FieldKeys       `json:"keyManagement" doc:"Where the keys are."`
	Scope                   EncryptionScope `json:"scope" doc:"What one key encrypts."`
	DeterministicEncryption bool            `json:"deterministicEncryption" default:"false" doc:"Equal values encrypt equally."`
	SearchableEncryption    bool            `json:"searchableEncryption" default:"false" doc:"Searches work on encrypted values."`
}

// Cipher is an encryption algorithm.
type Cipher string

// Values lists the algorithms in the protocol's order.
func (Cipher) Values() []string {
	return []string{"aes-256-gcm", "aes-256-cbc", "chacha20-poly1305"}
}

// EncryptionScope is what one key encrypts.
type EncryptionScope string

// Values lists the scopes in the protocol's order.
func (EncryptionScope) Values() []string { return []string{"field", "record", "table", "database"} }

// FieldKeys says where encryption keys are.
type FieldKeys struct {
	Provider       KeyProvider        `json:"provider" doc:"Service that keeps the keys."`
	KeyID          string             `json:"keyId,omitempty" doc:"The key's name there."`
	RotationPolicy *KeyRotationPolicy `json:"rotationPolicy,omitempty" doc:"How keys are replaced."`
}

// KeyProvider is a service that keeps the keys of a field.
type KeyProvider string

// Values lists the services in the protocol's order.
func (KeyProvider) Values() []string {
	return []string{"local", "aws-kms", "azure-key-vault", "gcp-kms", "hashicorp-vault"}
}

// KeyRotationPolicy is how encryption keys are replaced.
type KeyRotationPolicy struct {
	Enabled           bool    `json:"enabled" default:"false" doc:"Replace keys."`
	FrequencyDays     float64 `json:"frequencyDays" default:"90" shape:"min=1" doc:"Days between two keys."`
	RetainOldVersions float64 `json:"retainOldVersions" default:"3" doc:"Old keys kept."`
	AutoRotate        bool    `json:"autoRotate" default:"true" doc:"Without asking."`
}

// MaskingRule is how values are hidden from some. Source: system/masking.
type MaskingRule struct {
	Field          string          `json:"field" doc:"Field that is masked."`
	Strategy       MaskingStrategy `json:"strategy" doc:"How."`
	Pattern        string          `json:"pattern,omitempty" doc:"Regular expression for partial masking."`
	PreserveFormat bool            `json:"preserveFormat" default:"true" doc:"Keep the format of the value."`
	PreserveLength bool            `json:"preserveLength" default:"true" doc:"Keep the length of the value."`
	Roles          []string        `json:"roles,omitzero" doc:"Roles that see the masked value."`
	ExemptRoles    []string        `json:"exemptRoles,omitzero" doc:"Roles that see the value."`
}

// MaskingStrategy is how a value is hidden.
type MaskingStrategy string

// Values lists the strategies in the protocol's order.
func (MaskingStrategy) Values() []string {
	return []string{"redact", "partial", "hash", "tokenize", "randomize", "nullify", "substitute"}
}

// ComputedFieldCache is how computed values are cached. Source: data/field.
type ComputedFieldCache struct {
	Enabled      bool     `json:"enabled" doc:"Cache the values."`
	TTL          float64  `json:"ttl" shape:"min=0" doc:"Seconds that a value holds; 0 is for ever."`
	InvalidateOn []string `json:"invalidateOn" doc:"Fields whose change ends it."`
}

// DataQualityRules says what makes the data of a field good. Source:
// data/field.
type DataQualityRules struct {
	Uniqueness   bool              `json:"uniqueness" default:"false" doc:"Values must differ."`
	Completeness float64           `json:"completeness" default:"0" shape:"min=0,max=1" doc:"Least share of records with a value."`
	Accuracy     *AccuracyRequired `json:"accuracy,omitempty" doc:"Comparison with a reference."`
}

// AccuracyRequired compares values with a reference.
type AccuracyRequired struct {
	Source    string  `json:"source" doc:"The reference."`
	Threshold float64 `json:"threshold" shape:"min=0,max=1" doc:"Least share of values that agree."`
}
