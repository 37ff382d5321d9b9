name = Umweltzonen-Genehmigung
description = Die Erlaubnis, mit einem Fahrzeug in der Umweltzone einer Stadt zu fahren.
source = Das Verkehrsamt der Stadt: Bringen Sie den Fahrzeugschein mit.

claim-zone = Zone
    .description = Die Zone, in der Sie fahren dürfen.
claim-registrationNumber = Kennzeichen
    .description = Die Nummer auf dem Schild des Fahrzeugs.
claim-emissionClass = Schadstoffklasse
    .description = Wie sauber der Motor ist.

value-emissionClass-electric = Elektrisch
